package http

import (
	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/expect"
)

// otherCoding is the reason of an answer that does not come in the coding that was asked for.
var otherCoding = probe.Reason{Word: "compression", Verdict: probe.Fail, Text: "not compressed as expected",
	Action: "Look at the compression settings of the server and the CDN: types, minimum length, and whether they compress what they pass on."}

// validateCompression reports what is wrong with the coding that is asked for.
func (p *Probe) validateCompression() (wrong []error) {
	switch p.Compression {
	case "", httpx.Gzip, httpx.Identity, httpx.Deflate:
		return nil
	case httpx.Brotli:
	default:
		return []error{probe.Settingf("compression", "expected gzip, identity, br or deflate")}
	}
	return wrong
}

// coding compares the coding of the answer with the one that was asked for.
func (p *Probe) coding(answer *httpx.Answer) []expect.Check {
	if p.Compression == "" {
		return nil
	}
	got := answer.Coding(p.Compression)
	o := probe.Outcomef(probe.OK, "the body came %s", inWords(got))
	switch {
	case got != p.Compression:
		o = probe.Outcomef(otherCoding, "expected the body %s, got it %s", inWords(p.Compression), inWords(got))
	case answer.Body == nil && got != httpx.Identity:
		o = probe.Outcomef(otherCoding, "expected the body %s, got none", inWords(got))
	case got == httpx.Brotli:
		o.Detail += " by its header and its first bytes; it is not decoded"
	}
	return []expect.Check{{Name: "compression", Outcome: o}}
}

// inWords says in words how a body comes.
func inWords(coding string) string {
	if coding == httpx.Identity {
		return "uncompressed"
	}
	return "compressed with " + coding
}
