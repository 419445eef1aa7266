package report

import (
	"strings"

	"prober/internal/probe"
	"prober/internal/text"
)

func cleanID(id probe.ID) probe.ID {
	return probe.ID{
		System: text.Line(id.System), Name: text.Line(id.Name), Type: text.Line(id.Type), Runbook: text.Line(id.Runbook), Severity: text.Line(id.Severity),
	}
}

func cleanExchange(x *probe.Exchange) {
	for _, field := range []*string{&x.Check, &x.Target, &x.Method, &x.Addr, &x.Proto, &x.TraceID, &x.TargetTraceID, &x.Version, &x.Denied} {
		*field = text.Line(*field)
	}
	x.URL, _, _ = strings.Cut(text.Link(x.URL), "#")
	x.Reason.Word = text.Line(x.Reason.Word)
}
