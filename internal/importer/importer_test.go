package importer

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prober/config"
	"prober/internal/testenv"
	"prober/probes"
)

func read(t *testing.T, names ...string) (files []File) {
	t.Helper()
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, File{name, data})
	}
	return files
}

// inputs are files that use every key of the documentation of the other monitors, by their golden files.
var inputs = map[string][]string{
	"blackbox.golden":         {"blackbox.yml", "prometheus.yml"},
	"blackbox-modules.golden": {"blackbox.yml"},
	"gatus.golden":            {"gatus.yaml"},
	"cloudprober.golden":      {"cloudprober.cfg"},
}

func TestImport_golden(t *testing.T) {
	t.Parallel()
	for golden, names := range inputs {
		got, err := Import("", "shop", read(t, names...)...)
		if err != nil {
			t.Error(err)
			continue
		}
		out := append(bytes.Clone(got.YAML), "\n# Warnings:\n"...)
		for _, w := range got.Warnings {
			out = append(out, "# "+w+"\n"...)
		}
		testenv.Golden(t, filepath.Join("testdata", golden), string(out))
	}
}

// TestImport_leaks: nothing of what is marked as secret is in the result or in a message.
func TestImport_leaks(t *testing.T) {
	t.Parallel()
	const mark = "marked-secret"
	for golden, names := range inputs {
		files := read(t, names...)
		all, n := "", 0
		for _, f := range files {
			n += bytes.Count(f.Data, []byte(mark))
		}
		got, err := Import("", "shop", files...)
		if err != nil {
			t.Error(err)
		}
		all = string(got.YAML) + strings.Join(got.Warnings, "\n")
		if n == 0 || strings.Contains(all, mark) {
			t.Errorf("%s: %d secrets, and one of them was copied:\n%s", golden, n, all)
		}
	}
}

// filled are values for what is to be filled in.
var filled = strings.NewReplacer(
	"control: TODO # a refusal alone proves nothing: name a record", "control: {query_name: there.example.com} #",
	"control: TODO", "control: {url: https://control.example/, expect: {status: 200, body: a, headers: {Set-Cookie: a, X-Debug: a}, json: {$.errors: a}}}",
	"url: TODO # ws", "url: wss://filled.example/ #", "host: {TODO: the host}", "host: filled.example",
	"url: TODO", "url: https://filled.example/",
	"status: TODO", "status: 200", "body: {TODO: the body}", "body: text",
	"servers: TODO", "servers: [filled.example:53]",
	"query_name: {TODO: the name}", "query_name: filled.example", "bearer: TODO", "bearer: {env: FILLED}", "client_id: TODO", "client_id: filled",
	"command: TODO", "command: [/usr/bin/true]",
	"address: TODO", "address: filled.example:1",
	"allow_plaintext: TODO", "allow_plaintext: true",
	"dialogue: TODO", "dialogue: [{expect: a}]",
)

// TestImport_valid: what is translated is a valid configuration, once every TODO has been filled in, and before that
// each one is refused at its line.
func TestImport_valid(t *testing.T) {
	t.Parallel()
	for golden, names := range inputs {
		got, err := Import("", "shop", read(t, names...)...)
		if err != nil {
			t.Fatal(err)
		}
		text := string(got.YAML)
		cfg, err := config.Parse(probes.Kinds(), config.File{Name: golden, Data: []byte(filled.Replace(text))})
		if err != nil {
			t.Errorf("%s, filled in: %v", golden, err)
		} else if len(cfg.Jobs) != got.Probes || got.Probes == 0 {
			t.Errorf("%s: expected %d probes, got %d", golden, got.Probes, len(cfg.Jobs))
		}
		_, err = config.Parse(probes.Kinds(), config.File{Name: golden, Data: got.YAML})
		var refused config.Errors
		errors.As(err, &refused)
		lines, n := map[int]bool{}, 0
		for _, m := range refused {
			lines[m.Line] = true
		}
		for i, line := range strings.Split(text, "\n") {
			if strings.Contains(line, ": TODO") || strings.Contains(line, "{TODO") {
				if n++; !lines[i+1] {
					t.Errorf("%s:%d: is not refused: %s", golden, i+1, line)
				}
			}
		}
		if n != got.ToDo || n == 0 {
			t.Errorf("%s: expected %d values to fill in, got %d", golden, got.ToDo, n)
		}
	}
}

// TestImport_asItStands: what could be translated by its words alone would be refused, or ask for a secret where there is not one.
func TestImport_asItStands(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ module, target, with, without string }{
		"a body in brotli":       {`{prober: http, http: {compression: br, fail_if_body_not_matches_regexp: [shop]}}`, "https://a.example/", "expect: {body: {match: shop}}", "    compression: br\n"},
		"brotli without a body":  {`{prober: http, http: {compression: br}}`, "https://a.example/", "    compression: br\n", "TODO"},
		"a body in deflate":      {`{prober: http, http: {compression: deflate, fail_if_body_not_matches_regexp: [shop]}}`, "https://a.example/", "    compression: deflate\n", "TODO"},
		"a banner of SSH":        {`{prober: tcp, tcp: {query_response: [{expect: "^SSH-2.0-"}, {send: SSH-2.0-blackbox-ssh-check}]}}`, "a.example:22", "{send: SSH-2.0-blackbox-ssh-check}", "TODO"},
		"the IP version of gRPC": {`{prober: grpc, grpc: {tls: true, preferred_ip_protocol: ip4, ip_protocol_fallback: false}}`, "a.example:443", "    ip_version: 4\n", "# preferred"},
	} {
		got, err := Import("", "shop", File{"blackbox.yml", []byte("modules: {m: " + c.module + "}\n")},
			File{"prometheus.yml", []byte("scrape_configs:\n  - {job_name: j, metrics_path: /probe, params: {module: [m]}, static_configs: [{targets: ['" + c.target + "']}], relabel_configs: [{source_labels: [__address__], target_label: __param_target}, {target_label: __address__, replacement: '127.0.0.1:9115'}]}\n")})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text := string(got.YAML)
		if !strings.Contains(text, c.with) || strings.Contains(text, c.without) || got.Probes != 1 {
			t.Errorf("%s: expected %q and not %q, got\n%s", name, c.with, c.without, text)
		}
		if _, err := config.Parse(probes.Kinds(), config.File{Name: name, Data: got.YAML}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
