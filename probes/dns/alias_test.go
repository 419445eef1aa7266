package dns

import (
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/probe"
)

// TestAliases judges answers whose aliases have no end, or whose code contradicts their records. None of them says that the name has
// no record, or that it does not exist.
func TestAliases(t *testing.T) {
	t.Parallel()
	asked := dnsmessage.Question{Name: dnsmessage.MustNewName("www.shop.example."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	is := func(name, target string) record {
		return record{name: name, typ: dnsmessage.TypeCNAME, class: asked.Class, host: target, data: target}
	}
	circle := []record{is("www.shop.example.", "a.example."), is("a.example.", "www.shop.example.")}
	address := record{name: "www.shop.example.", typ: dnsmessage.TypeA, class: asked.Class, data: "192.0.2.1"}
	soa := []record{{name: "example.", typ: dnsmessage.TypeSOA, class: asked.Class}}
	noData, none := Expect{NoData: true}, Expect{RCode: []string{"NXDOMAIN"}}
	for name, c := range map[string]struct {
		expect    Expect
		code      dnsmessage.RCode
		recursion bool
		records   []record
		authority []record
		why       probe.Reason
		want      string
	}{
		"a circle":                    {noData, 0, true, circle, nil, reasonRecords, "expected an answer without records, got aliases that lead in a circle, or are more than 16"},
		"an alias of itself":          {noData, 0, true, []record{is("www.shop.example.", "www.shop.example.")}, soa, reasonRecords, "expected an answer without records, got aliases that lead in a circle, or are more than 16"},
		"an alias, without recursion": {noData, 0, false, circle[:1], nil, reasonRecords, "expected an answer without records, got 1 alias that the server does not follow"},
		"an alias, and the SOA":       {noData, 0, false, circle[:1], soa, probe.OK, "the name exists and has no such record"},
		"an alias, by a resolver":     {noData, 0, true, circle[:1], nil, probe.OK, "the name exists and has no such record"},
		"nothing":                     {noData, 0, false, nil, nil, probe.OK, "the name exists and has no such record"},
		"NXDOMAIN":                    {none, dnsmessage.RCodeNameError, true, nil, nil, probe.OK, "NXDOMAIN"},
		"NXDOMAIN with a record":      {none, dnsmessage.RCodeNameError, true, []record{address}, nil, reasonRecords, "expected NXDOMAIN, got NXDOMAIN and a record of the same name: 192.0.2.1"},
		"NXDOMAIN behind an alias":    {Expect{}, dnsmessage.RCodeNameError, true, circle[:1], nil, probe.NXDomain, "expected NOERROR, got NXDOMAIN: the name is an alias of one that does not exist"},
	} {
		r := &response{rcode: c.code, header: dnsmessage.Header{RecursionAvailable: c.recursion}}
		r.sections[0], r.sections[1] = c.records, c.authority
		b := believe(r, asked)
		if got := c.expect.judgeRCode(&b); got != (probe.Outcome{Reason: c.why, Detail: c.want}) {
			t.Errorf("%s: got %s: %q, expected %s: %q", name, got.Reason, got.Detail, c.why, c.want)
		}
	}
}
