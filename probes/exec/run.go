package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"prober/internal/command"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/text"
	"prober/probes/internal/budget"
)

// margin is what is left of a run to end a program.
const margin = 300 * time.Millisecond

// Ask runs the program once.
func (p *Probe) Ask(ctx context.Context, r *probe.Result) {
	env, err := p.environment()
	if err != nil {
		r.Inconclusive(checkExit, probe.Credential, "%s", err)
		return
	}
	c := command.Command{Path: string(p.Command[0]), Env: env, Dir: p.Directory}
	for _, word := range p.Command[1:] {
		c.Args = append(c.Args, string(word))
	}
	limited, done := budget.Keep(ctx, margin)
	defer done()
	record := probe.Exchange{Check: checkExit, URL: p.url(), Reason: probe.OK, Expected: true, Started: time.Now()}
	watch := probe.LatenessOf(ctx)
	late := watch.Total()
	result, err := p.runner.Run(limited, c)
	record.Took, record.Late = result.Took, watch.Total()-late
	var o probe.Outcome
	if err != nil {
		o = explain(err, time.Since(record.Started))
		record.Took, record.Reason, record.Expected = time.Since(record.Started), o.Reason, false
	} else {
		o = p.judge(&result)
	}
	r.Exchanged(record)
	r.Note(checkExit, o)
	if err == nil && p.answered(&result) {
		p.report(ctx, r, &result)
	}
}

// environment is what the program gets. An error names the source of a secret that cannot be read.
func (p *Probe) environment() (all []string, err error) {
	for _, name := range sorted.Keys(p.Env) {
		value, err := p.Env[name].Reveal()
		if err != nil {
			return nil, err
		}
		all = append(all, name+"="+value)
	}
	return all, nil
}

// explain says why a program came to no result.
func explain(err error, took time.Duration) probe.Outcome {
	lasted := took.Round(time.Millisecond)
	switch {
	case errors.Is(err, command.ErrBusy):
		return probe.Outcomef(probe.SelfLimit, "the program was not started within %s: %d others were running, which is the most at a time", lasted, maxPrograms)
	case errors.Is(err, command.ErrOutput):
		return probe.Outcomef(probe.SelfLimit, "expected at most %d KiB of output, got more; the program was killed", command.MaxOutput>>10)
	case errors.Is(err, command.ErrKilled):
		return probe.Outcomef(probe.Timeout, "the program did not end within %s, and was killed with all of its process group", lasted)
	case errors.Is(err, command.ErrStuck):
		return probe.Outcomef(probe.Timeout, "the program did not end within %s, and could not be killed: it waits in the kernel, as for a disk, or runs as another user", lasted)
	}
	return probe.Outcomef(reasonStart, "the program could not be started: %s", err)
}

// States of the format nagios, by their exit status.
var states = [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}

// judge judges the end of the program.
func (p *Probe) judge(result *command.Result) probe.Outcome {
	code := result.Code
	switch {
	case result.Signal != 0:
		return probe.Outcomef(reasonSignal, "expected the program to exit, got the signal %d (%s)%s", int(result.Signal), result.Signal, said(result))
	case p.Format == openMetrics && code != 0:
		return probe.Outcomef(reasonExit, "expected the exit status 0, got %d%s", code, said(result))
	case code >= len(states):
		return probe.Outcomef(reasonExit, "expected an exit status of 0 to 3, got %d%s", code, said(result))
	case p.Format == nagios && code == 3:
		return probe.Outcomef(reasonUnknown, "expected OK, got UNKNOWN%s", said(result))
	case p.Format == nagios && code == 2:
		return probe.Outcomef(reasonCritical, "expected OK, got CRITICAL%s", said(result))
	case result.Held:
		return probe.Outcomef(reasonHeld, "the program ended with the status %d, and left a process that held its output open: there may be more of it%s", code, said(result))
	case p.Format == nagios && silent(result):
		return probe.Outcomef(reasonExit, "expected WARNING on standard output with the exit status 1, got nothing there: a program that crashes ends so too%s", said(result))
	case p.FailOnWarning && code == 1:
		return probe.Outcomef(reasonWarning, "expected OK, got WARNING%s", said(result))
	case p.Format == openMetrics:
		return probe.Outcomef(probe.OK, "the program ended with the status 0")
	}
	return probe.Outcomef(probe.OK, "%s%s", states[code], said(result))
}

// answered reports whether the program came to an answer of its own, so that it may have written its values too.
func (p *Probe) answered(result *command.Result) bool {
	if p.Format == openMetrics {
		return result.Signal == 0 && result.Code == 0 && !result.Held
	}
	return result.Signal == 0 && result.Code < 3 && !result.Held && !silent(result)
}

// silent reports whether a program ended with the status of WARNING and said nothing, as scripts and interpreters do that fail. A
// crash must not pass as a warning.
func silent(result *command.Result) bool {
	return result.Code == 1 && len(bytes.TrimSpace(result.Stdout)) == 0
}

// said is what the program says of itself for people: the first line of its output, without the performance data, or of its
// standard error if there is none. Whoever notes it redacts it.
func said(result *command.Result) string {
	for _, output := range [][]byte{result.Stdout, result.Stderr} {
		line, _, _ := strings.Cut(strings.TrimSpace(string(output)), "\n")
		line, _, _ = strings.Cut(line, "|")
		if line = strings.TrimSpace(line); line != "" {
			return ": " + line
		}
	}
	return ""
}

// report notes the values that the program wrote.
func (p *Probe) report(ctx context.Context, r *probe.Result, result *command.Result) {
	if p.Format == nagios {
		r.Measure(warningGauge, probe.BoolValue(result.Code == 1))
	}
	if len(p.Values) == 0 {
		return
	}
	written, err := p.read(ctx, result.Stdout)
	if err != nil {
		r.Report(checkValues, reasonOutput, "%s", err)
		return
	}
	var worst probe.Outcome
	for _, name := range sorted.Keys(p.Values) {
		value, err := only(written[name])
		o := probe.Outcomef(reasonOutput, "%s: %v", name, err)
		if err == nil {
			r.Measure(valueGauge, value, name)
			o = p.Values[name].judge(name, value)
		}
		if worst.Reason.Word == "" || probe.Worse(worst.Reason.Verdict, o.Reason.Verdict) != worst.Reason.Verdict {
			worst = o
		}
	}
	if worst.Passed() {
		worst.Detail = fmt.Sprintf("%s as expected", text.Count(len(p.Values), "value"))
	}
	r.Note(checkValues, worst)
}
