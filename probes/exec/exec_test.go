package exec

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"prober/config"
	"prober/internal/command"
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/probetest"
)

// load reads a probe, whose command is a script.
func load(t *testing.T, script, settings string) *Probe {
	t.Helper()
	return loadCommand(t, fmt.Sprintf("[/bin/sh, -c, %q]", script), settings)
}

func loadCommand(t *testing.T, words, settings string) *Probe {
	t.Helper()
	text := "system: test\nprobes:\n  - name: p\n    type: exec\n    command: " + words + "\n" + settings
	cfg, err := config.Parse(probe.Kinds{"exec": Kind()}, config.File{Name: filepath.Join(t.TempDir(), "prober.yaml"), Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Jobs[0].Probe.(*Probe)
}

// samples lists the values of a result.
func samples(r probe.Result) string {
	var all []string
	for _, s := range r.Samples {
		all = append(all, fmt.Sprintf("%s%q %g", s.Name, s.Values, s.Value))
	}
	return strings.Join(all, "\n")
}

func TestExec_nagios(t *testing.T) {
	for name, test := range map[string]struct {
		script, settings, want string
	}{
		"OK":                       {"echo 'DISK OK - 40 % free | /=60%;80;90'", "", "pass\nexit_status pass(ok): OK: DISK OK - 40 % free"},
		"OK without a word":        {"true", "", "pass\nexit_status pass(ok): OK"},
		"WARNING":                  {"echo 'DISK WARNING'; exit 1", "", "pass\nexit_status pass(ok): WARNING: DISK WARNING"},
		"WARNING that fails":       {"echo 'DISK WARNING'; exit 1", "    fail_on_warning: true\n", "fail\nexit_status fail(warning): expected OK, got WARNING: DISK WARNING"},
		"a crash of a script":      {"echo 'Traceback: no such host' >&2; exit 1", "", "inconclusive\nexit_status inconclusive(exit_status): expected WARNING on standard output with the exit status 1, got nothing there: a program that crashes ends so too: Traceback: no such host"},
		"a crash that may not be":  {"exit 1", "    fail_on_warning: true\n    values: {a: {}}\n", "inconclusive\nexit_status inconclusive(exit_status): expected WARNING on standard output *"},
		"CRITICAL":                 {"echo 'DISK CRITICAL'; exit 2", "", "fail\nexit_status fail(critical): expected OK, got CRITICAL: DISK CRITICAL"},
		"CRITICAL on stderr":       {"echo 'no disk' >&2; exit 2", "", "fail\nexit_status fail(critical): expected OK, got CRITICAL: no disk"},
		"UNKNOWN":                  {"echo 'usage: ...'; exit 3", "", "inconclusive\nexit_status inconclusive(unknown): expected OK, got UNKNOWN: usage: ..."},
		"another status":           {"exec /nowhere/check", "", "inconclusive\nexit_status inconclusive(exit_status): expected an exit status of 0 to 3, got 127: *"},
		"the first beyond UNKNOWN": {"exit 4", "", "inconclusive\nexit_status inconclusive(exit_status): expected an exit status of 0 to 3, got 4"},
		"a negative status":        {"exit 255", "", "inconclusive\nexit_status inconclusive(exit_status): expected an exit status of 0 to 3, got 255"},
		"a signal":                 {"kill -SEGV $$", "", "inconclusive\nexit_status inconclusive(signal): expected the program to exit, got the signal 11 (segmentation fault)"},
		"a kill by somebody else":  {"kill -KILL $$", "", "inconclusive\nexit_status inconclusive(signal): expected the program to exit, got the signal 9 (killed)"},
		"a process left":           {"sleep 600 & echo fine", "", "inconclusive\nexit_status inconclusive(left_running): the program ended with the status 0, and left a process that held its output open: there may be more of it: fine"},
		"a process left, CRITICAL": {"sleep 600 & exit 2", "", "fail\nexit_status fail(critical): expected OK, got CRITICAL"},
		"output without end":       {"yes", "", "inconclusive\nexit_status inconclusive(self_limit): expected at most 64 KiB of output, got more; the program was killed"},
		"odd output":               {`printf '\033[31mred\000\302\205 \377|x'`, "", "pass\nexit_status pass(ok): OK: *"},
	} {
		probetest.WantLines(t, probetest.Run(t, Kind(), load(t, test.script, test.settings)), strings.Split(test.want, "\n")...)
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

func TestExec_notStarted(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const lead = "inconclusive\nexit_status inconclusive(not_started): the program could not be started: "
	for words, want := range map[string]string{
		"[/nowhere/check_disk]":   lead + "there is no such program, or not the interpreter that its first line names",
		"[" + plain + ", --help]": lead + "it may not be executed by this user",
		"[/usr]":                  lead + "it is no regular file",
	} {
		probetest.WantLines(t, probetest.Run(t, Kind(), loadCommand(t, words, "")), strings.Split(want, "\n")...)
	}
	probetest.WantLines(t, probetest.Run(t, Kind(), loadCommand(t, "[/bin/true]", "    directory: /nowhere\n")), strings.Split(lead+"its working directory does not exist or may not be entered", "\n")...)
}

func TestExec_values(t *testing.T) {
	for name, test := range map[string]struct {
		script, values, want, samples string
	}{
		"within limits": {
			"echo 'OK | /=60%;80;90;0;100 time=12ms size=2KB users=3 | x=1'", "{/: {max: 80}, time: {max: 1s}, size: {}, users: {min: 1}}",
			"pass\nexit_status pass(ok): OK: OK\nvalues pass(ok): 4 values as expected",
			"probe_exec_warning[] 0\nprobe_exec_value[\"/\"] 60\nprobe_exec_value[\"size\"] 2048\nprobe_exec_value[\"time\"] 0.012\nprobe_exec_value[\"users\"] 3",
		},
		"beyond a limit": {
			"echo 'OK | a=1 b=2'", "{a: {min: 2}, b: {max: 5}}",
			"fail\nexit_status pass(ok): OK: OK\nvalues fail(out_of_range): a: expected at least 2, got 1", "probe_exec_warning[] 0\nprobe_exec_value[\"a\"] 1\nprobe_exec_value[\"b\"] 2",
		},
		"a failure beside what is missing": {
			"echo 'OK | b=6'", "{a: {}, b: {max: 5}}",
			"fail\nexit_status pass(ok): OK: OK\nvalues fail(out_of_range): b: expected at most 5, got 6", "probe_exec_warning[] 0\nprobe_exec_value[\"b\"] 6",
		},
		"just at its limits": {
			"echo 'OK | a=5 b=0.5s'", "{a: {min: 5, max: 5}, b: {min: 500ms, max: 500ms}}",
			"pass\nexit_status pass(ok): OK: OK\nvalues pass(ok): 2 values as expected", "probe_exec_warning[] 0\nprobe_exec_value[\"a\"] 5\nprobe_exec_value[\"b\"] 0.5",
		},
		"of a critical state": {
			"echo 'bad | a=9'; exit 2", "{a: {}}",
			"fail\nexit_status fail(critical): expected OK, got CRITICAL: bad\nvalues pass(ok): 1 value as expected", "probe_exec_warning[] 0\nprobe_exec_value[\"a\"] 9",
		},
		"of a warning": {
			"echo 'so | a=9'; exit 1", "{a: {}}", "pass\nexit_status pass(ok): WARNING: so\nvalues pass(ok): 1 value as expected", "probe_exec_warning[] 1\nprobe_exec_value[\"a\"] 9",
		},
		"none":            {"echo fine", "{a: {max: 1}}", "inconclusive\nexit_status pass(ok): OK: fine\nvalues inconclusive(unexpected_output): a: expected a value, got none", "probe_exec_warning[] 0"},
		"two of one name": {"echo 'fine | a=0 a=9'", "{a: {max: 1}}", "inconclusive\nexit_status pass(ok): OK: fine\nvalues inconclusive(unexpected_output): a: expected one value, got 2 values", "probe_exec_warning[] 0"},
		"unknown":         {"echo 'fine | a=U'", "{a: {max: 1}}", "inconclusive\nexit_status pass(ok): OK: fine\nvalues inconclusive(unexpected_output): a: expected a number, got none", "probe_exec_warning[] 0"},
		"of minutes":      {"echo 'fine | a=5m'", "{a: {max: 30s}}", "inconclusive\nexit_status pass(ok): OK: fine\nvalues inconclusive(unexpected_output): a: expected a number, got none", "probe_exec_warning[] 0"},
		"of UNKNOWN":      {"echo 'fine | a=1'; exit 3", "{a: {max: 1}}", "inconclusive\nexit_status inconclusive(unknown): expected OK, got UNKNOWN: fine", ""},
		"of what is cut":  {"echo 'fine | a=1'; sleep 600 &", "{a: {max: 1}}", "inconclusive\nexit_status inconclusive(left_running): *", ""},
	} {
		r := probetest.Run(t, Kind(), load(t, test.script, "    values: "+test.values+"\n"))
		probetest.WantLines(t, r, strings.Split(test.want, "\n")...)
		if got := samples(r); got != test.samples || t.Failed() {
			t.Errorf("%s: expected\n%s\ngot\n%s", name, test.samples, got)
		}
	}
}

func TestExec_openMetrics(t *testing.T) {
	const jobs = `# TYPE jobs gauge\njobs{queue="mail"} 3\njobs{queue="sms"} 9\n# TYPE done counter\ndone_total 7\n`
	for name, test := range map[string]struct {
		script, values, want string
	}{
		"within limits":    {"printf '" + jobs + "# EOF\n'", `{'jobs{queue="mail"}': {max: 5}, done_total: {min: 1}}`, "pass\nexit_status pass(ok): the program ended with the status 0\nvalues pass(ok): 2 values as expected"},
		"beyond a limit":   {"printf '" + jobs + "# EOF\n'", `{'jobs{queue="sms"}': {max: 5}}`, "fail\n*\nvalues fail(out_of_range): jobs{queue=\"sms\"}: expected at most 5, got 9"},
		"several series":   {"printf '" + jobs + "# EOF\n'", `{jobs: {max: 5}}`, "inconclusive\n*\nvalues inconclusive(unexpected_output): jobs: expected one value, got 2 values"},
		"no series":        {"printf '# EOF\n'", `{jobs: {max: 5}}`, "inconclusive\n*\nvalues inconclusive(unexpected_output): jobs: expected a value, got none"},
		"a time ago":       {"printf 'jobs 3 1520879607.7\n# EOF\n'", `{jobs: {max: 5}}`, "inconclusive\n*\nvalues inconclusive(unexpected_output): expected values of now, got 1 sample with another time"},
		"now":              {"printf 'jobs 3 %d\nother 3 1\n# EOF\n' $(date +%s)", `{jobs: {max: 5}}`, "pass\n*\nvalues pass(ok): 1 value as expected"},
		"no number":        {"printf 'a NaN\n# EOF\n'", `{a: {max: 5}}`, "inconclusive\n*\nvalues inconclusive(unexpected_output): a: expected a number, got none"},
		"infinitely few":   {"printf 'a -Inf\n# EOF\n'", `{a: {max: 5}}`, "inconclusive\n*\nvalues inconclusive(unexpected_output): a: expected a number, got none"},
		"infinitely many":  {"printf 'a +Inf\n# EOF\n'", `{a: {min: 5}}`, "inconclusive\n*\nvalues inconclusive(unexpected_output): a: expected a number, got none"},
		"cut":              {"printf '" + jobs + "'", `{'jobs{queue="mail"}': {max: 5}}`, "inconclusive\n*\nvalues inconclusive(unexpected_output): expected OpenMetrics that ends with # EOF, got less"},
		"no OpenMetrics":   {"echo 'DISK OK | a=1'; echo '# EOF'", `{a: {max: 5}}`, "inconclusive\n*\nvalues inconclusive(unexpected_output): expected OpenMetrics: line 1 is not of *"},
		"another status":   {"printf '" + jobs + "# EOF\n'; exit 1", `{jobs: {}}`, "inconclusive\nexit_status inconclusive(exit_status): expected the exit status 0, got 1: # TYPE jobs gauge"},
		"a process behind": {"printf '" + jobs + "# EOF\n'; sleep 600 &", `{jobs: {}}`, "inconclusive\nexit_status inconclusive(left_running): *"},
	} {
		probetest.WantLines(t, probetest.Run(t, Kind(), load(t, strings.ReplaceAll(test.script, "\n", `\n`), "    format: openmetrics\n    values: "+test.values+"\n")), strings.Split(test.want, "\n")...)
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

// TestExec_record: what is recorded of a run is the program, and whether it came to an end of its own.
func TestExec_record(t *testing.T) {
	for words, want := range map[string]string{
		"[/bin/true]":           "exec:/bin/true ok, expected: true",
		"[/bin/sh, -c, exit 2]": "exec:/bin/sh ok, expected: true",
		"[/nowhere/check_disk]": "exec:/nowhere/check_disk not_started, expected: false",
	} {
		p := loadCommand(t, words, "")
		got := ""
		for _, x := range probetest.Run(t, Kind(), p).Exchanges {
			got += fmt.Sprintf("%s %s, expected: %t", x.URL, x.Reason.Word, x.Expected)
		}
		if address, _, _ := strings.Cut(want, " "); got != want || strings.Join(p.Addresses(), " ") != address {
			t.Errorf("expected %s, got %s of %s", want, got, p.Addresses())
		}
	}
}

// TestExec_secret hands a secret over in the environment, and nothing else of the prober's. Whatever the program writes of it is
// not shown.
func TestExec_secret(t *testing.T) {
	t.Setenv("EXEC_TEST_SECRET", "tr0ub4dor-and-3")
	t.Setenv("EXEC_TEST_OTHER", "correct-horse")
	r := probetest.Run(t, Kind(), loadCommand(t, "[/usr/bin/env]", "    env: {LANG: C, TOKEN: {env: EXEC_TEST_SECRET}}\n"))
	probetest.WantLines(t, r, "pass", "exit_status pass(ok): OK: LANG=C")
	for _, script := range []string{
		`test "$(env | grep -c EXEC_TEST)" = 0 && test "$TOKEN" = tr0ub4dor-and-3`,
		`echo "login with $TOKEN failed"; exit 2`, `echo "login with $TOKEN failed" >&2; exit 9`, `printf %s "$TOKEN" | base64; exit 3`, `printf 'a|x=1\n|%s=1' "$TOKEN"`,
	} {
		r := probetest.Run(t, Kind(), load(t, script, "    env: {TOKEN: {env: EXEC_TEST_SECRET}, PATH: /usr/bin:/bin}\n"))
		text := fmt.Sprintf("%s %+v", probetest.Lines(r), r)
		if strings.Contains(text, "tr0ub4dor") || strings.Contains(text, "dHIwdWI0ZG") || strings.HasPrefix(script, "test") && r.Verdict() != probe.Pass {
			t.Errorf("%s: got %s", script, text)
		}
	}
	r = probetest.Run(t, Kind(), load(t, "true", "    env: {TOKEN: {env: EXEC_TEST_UNSET}}\n"))
	probetest.WantLines(t, r, "inconclusive", "exit_status inconclusive(credential): secret from env EXEC_TEST_UNSET: the variable is not set")
}

// TestExec_timeout kills a program that does not end, and says so; one that was interrupted with the run proves nothing.
func TestExec_timeout(t *testing.T) {
	job := probe.Job{ID: probe.ID{System: "s", Name: "p", Type: "exec"}, Kind: Kind(), Probe: load(t, "sleep 600", ""), Timeout: time.Second}
	r := probetest.Do(t.Context(), job)
	if got := r.Decisive(); got.Reason != probe.Timeout || !strings.HasSuffix(got.Detail, ", and was killed with all of its process group") || r.Took > 10*time.Second {
		t.Errorf("expected a timeout, got %s", probetest.Lines(r))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(100*time.Millisecond, cancel).Stop()
	job.Timeout = 30 * time.Second
	if got := job.Do(ctx).Decisive(); got.Verdict != probe.Inconclusive || got.Reason != probe.Cancelled {
		t.Errorf("expected a run that was cancelled, got %+v", got)
	}
}

// TestExec_busy says that there was no turn.
func TestExec_busy(t *testing.T) {
	p := load(t, "true", "")
	p.runner = command.NewRunner(0)
	job := probe.Job{ID: probe.ID{System: "s", Name: "p", Type: "exec"}, Kind: Kind(), Probe: p, Timeout: 500 * time.Millisecond}
	if got := probetest.Do(t.Context(), job).Decisive(); got.Reason != probe.SelfLimit || !strings.HasSuffix(got.Detail, ": 16 others were running, which is the most at a time") {
		t.Errorf("expected no turn, got %+v", got)
	}
}

func TestReadPerformance(t *testing.T) {
	for output, want := range map[string]string{
		"":                                     "map[]",
		"OK":                                   "map[]",
		"OK |":                                 "map[]",
		"OK | a=1":                             "map[a:[1]]",
		"OK|a=1;2;3;4;5 b=-2.5s":               "map[a:[1] b:[-2.5]]",
		"OK | 'a b'=1 'it''s'=2% c":            "map[a b:[1] it's:[2]]",
		"OK | a=1\nmore\nlines | b=2\nc=3ms":   "map[a:[1] b:[2] c:[0.003]]",
		"OK | a=1 junk b=2":                    "map[a:[1] b:[2]]",
		"OK | a=U b= c=x d=1e3 e=0x1":          "map[a:[NaN] b:[NaN] c:[NaN] d:[1000] e:[NaN]]",
		"OK | a=1,5 b=1MB c=1MiB d=3c e=2KB/s": "map[a:[1.5] b:[1.048576e+06] c:[1.048576e+06] d:[3] e:[2048]]",
		"| a=2h b=3min c=4d d=5ns e=6k f=7G g=8mb h=9Kb i=1kB/s": "map[a:[NaN] b:[NaN] c:[NaN] d:[5e-09] e:[NaN] f:[NaN] g:[NaN] h:[NaN] i:[NaN]]",
		"| a=20C b=3% c=4rpm h=6B d=5c e=1,234 f=0,012s g=2W":    "map[a:[20] b:[3] c:[4] d:[5] e:[NaN] f:[0.012] g:[2] h:[6]]",
		"OK | 'open=1 b=2": "map[]",
		"OK | 'a'b=1 c=2":  "map[c:[2]]",
		"OK | =1 b==2":     "map[b:[NaN]]",
	} {
		if got := fmt.Sprint(readPerformance(output)); got != want {
			t.Errorf("%q: expected %s, got %s", output, want, got)
		}
	}
}

// FuzzReadPerformance finds what makes the reader crash or not end.
func FuzzReadPerformance(f *testing.F) {
	f.Add("OK | a=1;2;3 'b c'=2ms\nmore | d=U")
	f.Add("|'''=1 ''''=2 =")
	f.Fuzz(func(t *testing.T, output string) {
		for label := range readPerformance(output) {
			if label == "" {
				t.Error("a value without a name")
			}
		}
	})
}

// TestExplain: a program that cannot be killed is told from one that could.
func TestExplain(t *testing.T) {
	got := explain(fmt.Errorf("run: %w", command.ErrStuck), 2*time.Second)
	if want := "the program did not end within 2s, and could not be killed: it waits in the kernel, as for a disk, or runs as another user"; got.Reason != probe.Timeout || got.Detail != want {
		t.Errorf("got %+v", got)
	}
}

// TestValidate_names: a value has a printable name of at most 128 letters. The shortest timeout leaves a program time to end.
func TestValidate_names(t *testing.T) {
	for name, ok := range map[string]bool{strings.Repeat("~", 128): true, " ": true, strings.Repeat("a", 129): false, "": false, "\x1f": false, "\x7f": false} {
		p := load(t, "true", "")
		p.Values = map[string]Limit{name: {}}
		if err := p.Validate(); (err == nil) != ok {
			t.Errorf("%q: got %v", name, err)
		}
		if err := p.CheckTimeout(minTimeout); err != nil {
			t.Error(err)
		}
	}
}

// TestValidate_bounds: as many words and variables as there may be.
func TestValidate_bounds(t *testing.T) {
	for more, want := range []string{"", "env: expected at most 50 variables, got 51\ncommand: expected at most 100 words, got 101"} {
		p := Kind().New().(*Probe)
		p.Command, p.Env = []Argument{"/bin/true"}, map[string]httpx.Value{}
		for i := range maxWords + more - 1 {
			p.Command = append(p.Command, Argument(fmt.Sprint(i)))
		}
		for i := range maxEnv + more {
			p.Env[fmt.Sprint("V", i)] = httpx.Value{Text: "x"}
		}
		got := ""
		if err := p.Validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%d more: got %s, expected %s", more, got, want)
		}
	}
}
