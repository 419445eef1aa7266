package importer

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"prober/internal/testenv"
	"prober/internal/text"
)

// hostile are files that nobody should wait for, or that say something that no probe can.
func hostile() map[string]string {
	bomb := "modules:\n  a0: &a0 {prober: http}\n"
	for i := 1; i < 12; i++ {
		n, last := string(rune('a'+i)), string(rune('a'+i-1))
		bomb += "  " + n + "0: &" + n + "0 {x: [" + strings.Repeat("*"+last+"0, ", 9) + "*" + last + "0]}\n"
	}
	return map[string]string{
		"aliases":          bomb,
		"a cycle":          "modules: &m\n  a: *m\n",
		"depth":            "modules: " + strings.Repeat("[", 200_000),
		"size":             "modules: {}\n#" + strings.Repeat("x", 10<<20),
		"a list":           "modules: [a]\n",
		"no mapping":       "modules: {a: b}\n",
		"a list as a text": "modules: {a: {prober: http, http: {method: [a]}}}\n",
		"a duration":       "modules: {a: {prober: http, timeout: soon}}\n",
		"a long duration":  "modules: {a: {prober: http, timeout: 99999999999y}}\n",
		"a pattern":        "modules: {a: {prober: http, http: {fail_if_body_matches_regexp: ['(']}}}\n",
		"two documents":    "modules: {}\n---\nmodules: {}\n",
		"bytes":            "modules:\n  a: \xff\n",
	}
}

// TestImport_hostile: each is refused, with the file and, if it is about a line, the line. Nothing of the file is repeated.
func TestImport_hostile(t *testing.T) {
	t.Parallel()
	message := regexp.MustCompile(`^(bad.yml(:[0-9]+)?: .{5,300}\n)+$`)
	for name, data := range hostile() {
		if _, err := Import("", "s", File{"bad.yml", []byte(data)}); err == nil || !message.MatchString(err.Error()+"\n") || strings.Count(err.Error(), "\n") > maxMessages {
			t.Errorf("%s: expected an error with the file, got %v", name, err)
		}
	}
}

// hostileTextpb are the same in text protobuf.
func hostileTextpb() map[string]string {
	return map[string]string{
		"depth":              strings.Repeat("probe {", 200_000),
		"lists":              "probe: " + strings.Repeat("[", 200_000),
		"size":               "probe {}\n#" + strings.Repeat("x", 10<<20),
		"no end":             "probe { name: \"a\"",
		"another end":        "probe { name: \"a\" > ",
		"an end alone":       "probe {} }",
		"a text without end": "probe { name: \"a\n\" }",
		"an open text":       "probe { name: \"a",
		"an escape":          "probe { name: \"\\q\" }",
		"half an escape":     "probe { name: \"\\",
		"an octal escape":    "probe { name: \"\\777\" }",
		"no value":           "probe { name: }",
		"no colon":           "probe { name \"a\" }",
		"no name":            "probe { : 1 }",
		"templates":          "{{range .}}\nprobe {}\n{{end}}",
		"many templates":     "probe { name: \"" + strings.Repeat("{{", 500_000) + " }",
		"an extension":       "probe { [a { b: 1 } }",
		"a list without end": "probe { name: [\"a\", \"b\" }",
		"a name that is not": "probe { name { a: 1 } type: HTTP }",
		"targets twice":      "probe { type: HTTP targets { host_names: \"a\" } targets { host_names: \"b\" } }",
		"a number":           "probe { type: PING ping_probe { packets_per_probe: many } }",
		"a pattern":          "probe { type: HTTP validator { regex: \"(\" } }",
		"a status":           "probe { type: HTTP validator { http_validator { success_status_codes: \"marked\" } } }",
		"a method":           "probe { type: HTTP http_probe { method: \"marked secret\" } }",
		"bytes":              "probe { \xff: 1 }",
	}
}

// TestImport_hostileTextpb: each is refused, with the file and, if it is about a line, the line. Nothing of the file is repeated.
func TestImport_hostileTextpb(t *testing.T) {
	t.Parallel()
	message := regexp.MustCompile(`^(bad.cfg(:[0-9]+)?: .{5,300}\n)+$`)
	for name, data := range hostileTextpb() {
		_, err := Import("cloudprober", "s", File{"bad.cfg", []byte(data)})
		if err == nil || !message.MatchString(err.Error()+"\n") || strings.Contains(err.Error(), "marked") {
			t.Errorf("%s: expected an error with the file, got %v", name, err)
		}
	}
}

// TestTextpb: texts and messages in the forms that text protobuf has for them.
func TestTextpb(t *testing.T) {
	t.Parallel()
	const text = `# a comment
a: "one" 'two'  "\x41\101\n\"\u00e9"; b { c: 1 } b < c: -2.5 >, d: [1, 2] e: [ { f: true } ] [x.y/z.W] { g: NAME }
h: "{{env "NAME"}}" h: "b" h: ["c"]
`
	d := &draft{}
	s, ok := d.parseTextpb(File{"a.cfg", []byte(text)})
	if !ok {
		t.Fatal(d.wrong)
	}
	if got := s.text("a"); got != "onetwoAA\n\"é" {
		t.Errorf("a: %q", got)
	}
	if b := s.messages("b"); len(b) != 2 || b[0].text("c") != "1" || b[1].text("c") != "-2.5" || b[1].node.Line != 2 {
		t.Errorf("b: %v", b)
	}
	if got := strings.Join(s.texts("d"), " ") + " " + strings.Join(s.texts("h"), " "); got != `1 2 {{env "NAME"}} b c` {
		t.Errorf("d and h: %s", got)
	}
	if e := s.messages("e"); len(e) != 1 || !e[0].flag("f", false) || s.inner("x.y/z.W").text("g") != "NAME" {
		t.Errorf("e: %v", e)
	}
	if len(d.wrong) > 0 {
		t.Error(d.wrong)
	}
}

// FuzzTextpb: whatever a file has, it is refused with its line, or becomes a configuration that is YAML, and says nothing of what it
// must not.
func FuzzTextpb(f *testing.F) {
	for _, data := range hostileTextpb() {
		if len(data) < 1000 {
			f.Add(data)
		}
	}
	f.Add(`probe { name: "a" type: HTTP targets { host_names: "a" } http_probe { header { key: "Authorization" value: "Bearer {{env "A"}}" } } }`)
	f.Fuzz(func(t *testing.T, data string) {
		got, err := Import("cloudprober", "s", File{"a.cfg", []byte(data)})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "a.cfg") {
				t.Error(err)
			}
			return
		}
		if d := (&draft{}); len(got.YAML) < MaxBytes {
			if _, ok := d.parse(File{"out.yaml", got.YAML}); !ok {
				t.Errorf("%v\n%s", d.wrong, got.YAML)
			}
		}
	})
}

// TestImport_product bounds how many probes modules and targets may come to.
func TestImport_product(t *testing.T) {
	t.Parallel()
	prometheus := "scrape_configs:\n- params: {module: [m]}\n  static_configs: [{targets: [" + strings.Repeat("a,", maxProbes+1) + "]}]\n" +
		"  relabel_configs: [{source_labels: [__address__], target_label: __param_target}]\n"
	_, err := Import("", "s", File{"b.yml", []byte("modules: {m: {prober: http}}")}, File{"p.yml", []byte(prometheus)})
	if err == nil || err.Error() != "p.yml:3: scrape_configs[0].static_configs[0]: more than 5000 probes" {
		t.Errorf("expected a bound on the probes, got %v", err)
	}
}

// TestImport_refusals: a module that only refuses never becomes a probe that a target which is down would pass.
func TestImport_refusals(t *testing.T) {
	t.Parallel()
	for settings, asks := range map[string]bool{
		"valid_status_codes: [404]":                                                   true,
		"valid_status_codes: [200, 500]":                                              true,
		"valid_status_codes: [301], follow_redirects: false":                          false,
		"fail_if_body_matches_regexp: [a]":                                            true,
		"fail_if_body_matches_regexp: [a], fail_if_body_not_matches_regexp: [b]":      false,
		"fail_if_header_matches: [{header: A, regexp: a}]":                            true,
		"fail_if_header_matches: [{header: A, regexp: .*, allow_missing: true}]":      true,
		"fail_if_header_not_matches: [{header: A, regexp: a}]":                        false,
		"fail_if_body_matches_regexp: ['a*'], fail_if_body_not_matches_regexp: ['b']": false,
		"": false,
	} {
		got, err := Import("", "s", File{"b.yml", []byte("modules: {m: {prober: http, http: {" + settings + "}}}")})
		if err != nil || strings.Contains(string(got.YAML), "control: TODO") != asks {
			t.Errorf("%s: expected a control to be asked for: %v; got %v\n%s", settings, asks, err, got.YAML)
		}
	}
}

// TestImport_statuses: what gatus says of the status becomes exactly those statuses, or a question.
func TestImport_statuses(t *testing.T) {
	t.Parallel()
	for conditions, want := range map[string]string{
		`"[STATUS] == 200"`:                               "status: 200}",
		`"[STATUS] < 300"`:                                "status: 2xx}",
		`"[STATUS] == any(200, 204)"`:                     "status: [200, 204]}",
		`"[STATUS] == pat(20?)"`:                          "status: [200, 201, 202, 203, 204, 205, 206, 207, 208, 209]}",
		`"[STATUS] >= 200", "[STATUS] < 400"`:             "status: [2xx, 3xx]}",
		`"[STATUS] == 404"`:                               "control: TODO",
		`"[STATUS] != 500"`:                               "status: TODO",
		`"[STATUS] == 200", "[STATUS] == 404"`:            "status: TODO",
		`"[STATUS] < lots"`:                               "status: TODO",
		`"[BODY].a != b"`:                                 "control: TODO",
		`"len([BODY].a) > 0"`:                             "{$.a: {length: {min: 1}}}",
		`"[BODY].a == pat(*)"`:                            "proves nothing",
		`"[CERTIFICATE_EXPIRATION] > 172800000"`:          "certificate: {fail: 2d}",
		`"[STATUS] == $STATUS"`:                           "is not understood here",
		`"[BODY].a == b", "[BODY].a == c"`:                "a second condition of the same kind",
		`"[RESPONSE_TIME] > 500"`:                         "has no equivalent",
		`"[BODY].` + strings.Repeat("x", 2000) + ` == 1"`: "is not understood here",
	} {
		got, err := Import("", "s", File{"g.yaml", []byte("endpoints: [{name: a, url: 'https://a.example/', conditions: [" + conditions + "]}]")})
		if out := strings.ReplaceAll(string(got.YAML), `"$.a"`, "$.a"); err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: expected %s, got %v\n%s", text.Cut(conditions, 99), want, err, out)
		}
	}
}

// TestImport_names: names are valid and unique, whatever the targets are called.
func TestImport_names(t *testing.T) {
	t.Parallel()
	d := &draft{names: map[string]int{}}
	for i, want := range []string{"shop", "shop-2", "probe-1", "probe", "probe-2", "a.b-c", "a.b-c-2", strings.Repeat("x", 56), strings.Repeat("x", 56) + "-2"} {
		in := []string{"shop", "shop", "1", "", "ü", "a.b/c/", "a.b-c", strings.Repeat("x", 100), strings.Repeat("x", 99)}[i]
		if got := d.name(in); got != want {
			t.Errorf("%q: expected %q, got %q", in, want, got)
		}
	}
}

func TestImport_format(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, text, want string }{
		{"", "hello: world", "a.yml: is not recognized as one of "},
		{"blackbocks", "modules: {}", "--from: expected one of "},
	} {
		if _, err := Import(c.from, "s", File{"a.yml", []byte(c.text)}); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: expected %q, got %v", c.text, c.want, err)
		}
	}
	three := []File{{"a.yml", []byte("modules: {}")}, {"b.yml", nil}, {"c.yml", nil}}
	if _, err := Import("", "s", three...); err == nil || err.Error() != "c.yml: blackbox takes at most 2 files" {
		t.Errorf("three files: got %v", err)
	}
}

// TestScalar: YAML reads back what is written, whatever the text is.
func TestScalar(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"a", "true", "No", "1", "1.5", "a: b", "a #b", "'", `"`, `\d+'"`, "a\nb", "\t", "", " a ", "*a", "&a", "!a", "@", "`", "{a}", "[a]", "a,b", "TODO", "é", "\u2028", "2001-01-01", "0x1F", "~", "-", "http://a/b?c=d#e", ".inf", "<<", "=", `a\`} {
		for _, flow := range []bool{false, true} {
			text := "k: " + scalar(s, flow) + "\n"
			if flow {
				text = "k: {k: " + scalar(s, true) + "}\n"
			}
			var d draft
			got, ok := d.parse(File{"s.yml", []byte(text)})
			if flow && ok {
				got = got.inner("k")
			}
			if !ok {
				t.Errorf("%q became %q: %v", s, text, d.wrong)
				continue
			}
			if back := got.text("k"); !ok || back != s || got.take("k").ShortTag() != "!!str" {
				t.Errorf("%q became %q, read as %q %v", s, text, back, d.wrong)
			}
		}
	}
}

const askTokenURL = "token_url: TODO # has a credential, or is no URL: name where tokens are issued, and the credential apart"

// TestImport_leftOut: what is left out is said, without a value that may be secret.
func TestImport_leftOut(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`probe { name: "a" type: DNS targets { host_names: "a" } dns_probe { resolved_domain: "a.example" } validator { dns_validator { authoritative: true min_ttl: 60 } } }`:                                                   "# min_ttl 60: has no equivalent",
		`probe { name: "a" type: PING targets { shared_targets: "b" } } shared_targets { name: "b" targets { shared_targets: "b" } }`:                                                                                            "# shared_targets b: there are none of that name, or they are made of themselves",
		"modules: {m: {prober: http, http: {enable_http2: false, valid_http_versions: [HTTP/2.0]}}}":                                                                                                                             "# valid_http_versions HTTP/2.0: is not spoken",
		`endpoints: [{name: a, url: 'https://a.example/', conditions: ["[STATUS] == 200", "correct-horse == [BODY].token"]}]`:                                                                                                    "# condition conditions[1]: has no equivalent",
		"modules: {m: {prober: http, http: {oauth2: {token_url: 'https://u:correct-horse@t.example/', client_id: c, client_secret: d}}}}":                                                                                        askTokenURL,
		"modules: {m: {prober: http, http: {oauth2: {token_url: 'https://t.example/?client_secret=correct-horse', client_id: c, client_secret: d}}}}":                                                                            askTokenURL,
		`endpoints: [{name: a, url: 'https://a.example/', client: {oauth2: {token-url: 'https://u:correct-horse@t.example/', client-id: c, client-secret: d}}, conditions: ["[STATUS] == 200"]}]`:                                askTokenURL,
		`probe { name: "a" type: HTTP targets { host_names: "a" } http_probe { oauth_config { http_request { token_url: "https://u:correct-horse@t.example/%zz" data: "client_id=a" data: "client_secret=correct-horse" } } } }`: askTokenURL,
		`endpoints: [{name: a, url: 'https://a.example/', extra-labels: {note: "Bearer correct-horse"}, conditions: ["[STATUS] == 200"]}]`:                                                                                       "# label note: looks secret, and a label is public",
	} {
		from := ""
		if strings.HasPrefix(text, "probe") {
			from = "cloudprober"
		}
		got, err := Import(from, "s", File{"a", []byte(text)})
		if out := string(got.YAML); err != nil || !strings.Contains(out, want) || strings.Contains(out, "correct-horse") {
			t.Errorf("%s\nexpected %s, got %v\n%s", text, want, err, out)
		}
	}
}

// TestTextpb_oneLine: a file is read in a time that grows with its size, and not with that of its lines.
func TestTextpb_oneLine(t *testing.T) {
	t.Parallel()
	data := []byte(strings.Repeat("[a]:1 ", MaxBytes/6))
	took := testenv.ProcessorTime(func() {
		if _, ok := (&draft{}).parseTextpb(File{"a.cfg", data}); !ok {
			t.Error("expected a file that can be read")
		}
	})
	if took > 5*time.Second {
		t.Errorf("%s for %d bytes", took, len(data))
	}
}
