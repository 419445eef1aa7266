package dns

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"prober/internal/probe"
	"prober/internal/text"
	"prober/probes/internal/expect"
)

// Expect is what an answer must be.
type Expect struct {
	RCode         []string `yaml:"rcode" default:"[NOERROR]" doc:"response codes: NOERROR, NXDOMAIN, REFUSED, ...; any but NOERROR needs a control"`
	NoData        bool     `yaml:"no_data" doc:"the name must exist and have no record of query_type; needs a control"`
	Answer        *Records `yaml:"answer" doc:"records of the name, and of what it is an alias for"`
	Authority     *Records `yaml:"authority" doc:"records of the zone in the authority section"`
	Additional    *Records `yaml:"additional" doc:"records of hosts that the answer or the authority section names"`
	TTL           *TTL     `yaml:"ttl" doc:"limits of the TTL of the records in the answer"`
	Authoritative bool     `yaml:"authoritative" doc:"the server must have authority for the name (AA); as it must with zone"`
	DNSSEC        string   `yaml:"dnssec" doc:"valid: a resolver must say that it validated the answer (AD); bogus: it must refuse it, and give it where checking is disabled (CD)"`
	EDNS          bool     `yaml:"edns" doc:"the answer must have EDNS"`
}

// Records are conditions for the records of a section.
type Records struct {
	Equals   []string          `yaml:"equals" doc:"the data of all records of query_type, in any order"`
	Match    []*expect.Pattern `yaml:"match" doc:"regular expressions each of which a record must match"`
	Every    []*expect.Pattern `yaml:"every" doc:"regular expressions that every record must match"`
	NotMatch []*expect.Pattern `yaml:"not_match" doc:"regular expressions that no record may match; needs a control, or another condition beside it"`
	NotEvery []*expect.Pattern `yaml:"not_every" doc:"regular expressions that not all records may match"`
	Min      *int              `yaml:"min" doc:"how many records there are at least"`
	Max      *int              `yaml:"max" doc:"how many records there are at most; 0 needs a control"`
}

// TTL are limits of the time to live.
type TTL struct {
	Min *probe.Duration `yaml:"min" doc:"the shortest TTL; a resolver counts it down"`
	Max *probe.Duration `yaml:"max" doc:"the longest TTL"`
}

// The values of dnssec.
const (
	dnssecValid = "valid"
	dnssecBogus = "bogus"
)

// rcodes are the response codes by name.
var rcodes = map[string]dnsmessage.RCode{
	"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5, "YXDOMAIN": 6, "YXRRSET": 7, "NXRRSET": 8,
	"NOTAUTH": 9, "NOTZONE": 10, "BADVERS": 16, "BADCOOKIE": 23,
}

func rcodeName(code dnsmessage.RCode) string {
	for name, known := range rcodes {
		if code == known {
			return name
		}
	}
	return "another code"
}

// accepted are the response codes that pass.
func (e *Expect) accepted() []string {
	switch {
	case e.DNSSEC == dnssecBogus:
		return []string{"SERVFAIL"}
	case len(e.RCode) > 0:
		return e.RCode
	}
	return []string{"NOERROR"}
}

// wantsAnswer reports whether there must be records in the answer section: where the section or its TTL is expected, and where nothing
// else is.
func (e *Expect) wantsAnswer() bool {
	return e.Answer != nil || e.TTL != nil || !e.NoData && slices.Contains(e.accepted(), "NOERROR") && e.Authority == nil && e.Additional == nil
}

// absence reports whether something must be absent. An answer that has nothing to do with the question would do then.
func (e *Expect) absence() bool {
	other := func(code string) bool { return code != "NOERROR" }
	return e.NoData || e.DNSSEC != dnssecBogus && slices.ContainsFunc(e.accepted(), other) || e.Answer.absence() || e.Authority.absence() || e.Additional.absence()
}

//go:noinline
func (s *Records) absence() bool {
	if s == nil {
		return false
	}
	positive := len(s.Equals) > 0 || len(s.Match) > 0 || len(s.Every) > 0 || len(s.NotEvery) > 0 || s.Min != nil && *s.Min > 0
	return !positive && (len(s.NotMatch) > 0 || s.Max != nil && *s.Max == 0)
}

// judgeRCode compares the response code with those expected.
func (e *Expect) judgeRCode(b *believed) probe.Outcome {
	want, got := strings.Join(e.accepted(), " or "), rcodeName(b.rcode)
	switch {
	case b.rcode == dnsmessage.RCodeNameError && len(b.found) > 0:
		return probe.Outcomef(reasonRecords, "expected %s, got NXDOMAIN and a record of the same name: %s", want, shown(b.found))
	case slices.Contains(e.accepted(), got) && !(e.NoData && b.rcode == dnsmessage.RCodeSuccess):
		return probe.Outcomef(probe.OK, "%s", got)
	case e.NoData && b.noData():
		return probe.Outcomef(probe.OK, "the name exists and has no such record")
	case e.NoData && b.referral():
		return probe.Outcomef(reasonRecords, "expected an answer without records, got a referral to other name servers")
	case e.NoData && b.unfinished():
		return probe.Outcomef(reasonRecords, "expected an answer without records, got %s", b.aliases())
	case e.NoData && b.rcode == dnsmessage.RCodeSuccess:
		return probe.Outcomef(reasonRecords, "expected no record, got %s", shown(b.found))
	case b.rcode == dnsmessage.RCodeNameError && len(b.chain) > 0:
		return probe.Outcomef(probe.NXDomain, "expected %s, got NXDOMAIN: the name is an alias of one that does not exist", want)
	case b.rcode == dnsmessage.RCodeNameError:
		return probe.Outcomef(probe.NXDomain, "expected %s, got NXDOMAIN: the name does not exist", want)
	case b.rcode == dnsmessage.RCodeServerFailure:
		return probe.Outcomef(reasonServfail, "expected %s, got SERVFAIL", want)
	case e.DNSSEC == dnssecBogus && b.rcode == dnsmessage.RCodeSuccess:
		return probe.Outcomef(reasonBogusAccepted, "expected SERVFAIL, got NOERROR with %s: the resolver does not validate", shown(b.found))
	case b.rcode == dnsmessage.RCodeSuccess:
		return probe.Outcomef(reasonRCode, "expected %s, got NOERROR with %s", want, shown(b.found))
	}
	return probe.Outcomef(reasonRCode, "expected %s, got %s", want, got)
}

// aliases says what the answer has in place of an end of the aliases.
func (b *believed) aliases() string {
	if b.endless {
		return "aliases that lead in a circle, or are more than " + strconv.Itoa(maxAliases)
	}
	return text.Plural(len(b.chain), "alias", "aliases") + " that the server does not follow"
}

// judgeAnswer judges the records of the name. Without conditions there must be one.
func (e *Expect) judgeAnswer(b *believed) probe.Outcome {
	switch ignored := len(b.sections[0]) - len(b.chain); {
	case len(b.found) > 0 && e.Answer != nil:
		return e.Answer.judge(b.found, b.answer())
	case len(b.found) > 0:
		return probe.Outcomef(probe.OK, "%s", shown(b.found))
	case b.referral():
		return probe.Outcomef(reasonNoRecord, "expected a record, got a referral to other name servers")
	case b.unfinished():
		return probe.Outcomef(reasonNoRecord, "expected a record, got %s", b.aliases())
	case len(b.chain) > 0:
		return probe.Outcomef(reasonNoRecord, "expected a record, got %s and no record at the end", text.Plural(len(b.chain), "alias", "aliases"))
	case ignored > 0:
		return probe.Outcomef(reasonRecords, "expected a record of the name, got only %s", text.Count(ignored, "record")+" of other names or types")
	}
	return probe.Outcomef(reasonNoRecord, "expected a record, got none: the name exists without such a record")
}

// judge judges records. Regular expressions see aliases too.
func (s *Records) judge(found, all []record) probe.Outcome {
	lines := make([]string, len(all))
	for i := range all {
		lines[i] = all[i].String()
	}
	if len(s.Equals) > 0 && !s.equal(found) {
		return probe.Outcomef(reasonRecords, "expected %s, got %s", strings.Join(s.Equals, " and "), shown(found))
	}
	if s.Min != nil && len(found) < *s.Min {
		return probe.Outcomef(reasonRecords, "expected at least %s, got %d", text.Count(*s.Min, "record"), len(found))
	}
	if s.Max != nil && len(found) > *s.Max {
		return probe.Outcomef(reasonRecords, "expected at most %s, got %d", text.Count(*s.Max, "record"), len(found))
	}
	for _, c := range []struct {
		patterns   []*expect.Pattern
		wrong      func(matches int) bool
		want, none string
	}{
		{s.Match, func(n int) bool { return n == 0 }, "a record that matches", "none does"},
		{s.Every, func(n int) bool { return n < len(lines) || n == 0 }, "only records that match", "one does not"},
		{s.NotMatch, func(n int) bool { return n > 0 }, "no record that matches", "one does"},
		{s.NotEvery, func(n int) bool { return n == len(lines) }, "a record that does not match", "all do"},
	} {
		for _, pattern := range c.patterns {
			matches := 0
			for _, line := range lines {
				if pattern.MatchString(line) {
					matches++
				}
			}
			if c.wrong(matches) {
				return probe.Outcomef(reasonRecords, "expected %s /%s/, got %s: %s", c.want, pattern, shown(all), c.none)
			}
		}
	}
	return probe.Outcomef(probe.OK, "%s as expected", text.Count(len(all), "record"))
}

// equal reports whether the records are exactly those written down.
func (s *Records) equal(found []record) bool {
	for i := range found {
		if !slices.ContainsFunc(s.Equals, found[i].is) {
			return false
		}
	}
	return !slices.ContainsFunc(s.Equals, func(want string) bool {
		return !slices.ContainsFunc(found, func(one record) bool { return one.is(want) })
	})
}

// judge compares the TTL of each record with the limits.
func (t *TTL) judge(records []record) probe.Outcome {
	low, high := ^uint32(0), uint32(0)
	for i := range records {
		low, high = min(low, records[i].ttl), max(high, records[i].ttl)
	}
	switch {
	case len(records) == 0:
		return probe.Outcomef(reasonTTL, "expected a record with a TTL, got none")
	case t.Min != nil && float64(low) < t.Min.D().Seconds():
		return probe.Outcomef(reasonTTL, "expected a TTL of at least %s, got %d s", t.Min, low)
	case t.Max != nil && float64(high) > t.Max.D().Seconds():
		return probe.Outcomef(reasonTTL, "expected a TTL of at most %s, got %d s", t.Max, high)
	}
	return probe.Outcomef(probe.OK, "%d s", low)
}

// maxShown bounds the addresses in a message.
const maxShown = 4

// shown says which records there are. Of what a server sends, only addresses are repeated.
func shown(records []record) string {
	var addresses []string
	for i := range records {
		if t := records[i].typ; (t == dnsmessage.TypeA || t == dnsmessage.TypeAAAA) && len(addresses) < maxShown {
			addresses = append(addresses, records[i].data)
		}
	}
	switch {
	case len(records) == 0:
		return "no record"
	case len(addresses) == 0:
		return text.Count(len(records), "record")
	case len(addresses) < len(records):
		return text.Count(len(records), "record") + ", among them " + strings.Join(addresses, " and ")
	}
	return strings.Join(addresses, " and ")
}
