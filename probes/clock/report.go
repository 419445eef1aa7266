package clock

import (
	"fmt"
	"time"

	"prober/internal/probe"
	"prober/internal/text"
	"prober/internal/timesync"
)

// Measures of the clock kind.
var (
	offsetGauge = &probe.Measure{
		Name:   "probe_clock_offset_seconds",
		Help:   "How far a source of time is ahead of the prober's clock; the source \"utc\" is what the NTP servers agree on.",
		Labels: []string{"source"},
	}
	uncertaintyGauge = &probe.Measure{
		Name:   "probe_clock_uncertainty_seconds",
		Help:   "Maximum error of the offset.",
		Labels: []string{"source"},
	}
	skewGauge = &probe.Measure{
		Name:   "probe_clock_skew_seconds",
		Help:   "How far the clock of a service is ahead of the reference, another service or \"utc\"; the prober's own clock has no part in it.",
		Labels: []string{"service", "reference"},
	}
	skewUncertaintyGauge = &probe.Measure{
		Name:   "probe_clock_skew_uncertainty_seconds",
		Help:   "Maximum error of the skew.",
		Labels: []string{"service", "reference"},
	}
	stratumGauge = &probe.Measure{
		Name:   "probe_clock_stratum",
		Help:   "Stratum of an NTP server, 1 to 15.",
		Labels: []string{"source"},
	}
	rootDistanceGauge = &probe.Measure{
		Name:   "probe_clock_root_distance_seconds",
		Help:   "Maximum error of an NTP server's time as seen from here, when it was asked.",
		Labels: []string{"source"},
	}
	rttGauge = &probe.Measure{
		Name:   "probe_clock_rtt_seconds",
		Help:   "Round trip to an NTP server.",
		Labels: []string{"source"},
	}
	leapGauge = &probe.Measure{
		Name:   "probe_clock_leap",
		Help:   "Leap second that an NTP server announces: 1 the last minute of the day has 61 seconds, 2 it has 59, 0 none.",
		Labels: []string{"source"},
	}
	falsetickerGauge = &probe.Measure{
		Name:   "probe_clock_falseticker",
		Help:   "1 for an NTP server that the quorum of the others contradicts, 0 for one that agrees with it.",
		Labels: []string{"source"},
	}
)

// A pair is two clocks that are compared; b may be UTC.
type pair struct {
	check, a, b string
	apart       timesync.Interval // how far a is ahead of b
}

// usable reports whether the readings of a service can be compared.
func (seen *sourceReadings) usable() bool {
	return seen.err == nil && seen.Samples > 0 && !seen.Empty()
}

// pairs lists the comparisons that are possible with the readings so far.
func (s *runState) pairs() []pair {
	now := s.at(time.Now())
	var all []pair
	for i, a := range s.sources {
		if !s.clocks[i].usable() {
			continue
		}
		is := s.clocks[i].Until(now)
		for j := i + 1; j < len(s.sources); j++ {
			if s.clocks[j].usable() {
				all = append(all, pair{"skew", a.name, s.sources[j].name, is.Minus(s.clocks[j].Until(now))})
			}
		}
		if s.agreed {
			all = append(all, pair{"utc", a.name, utcName, is.Minus(s.utc.Widen(timesync.Drift(now.Sub(s.base))))})
		}
	}
	return all
}

// judgePair says whether two clocks are within the limit: OK, reasonSkew or reasonWithinUncertainty.
func (s *runState) judgePair(p pair) probe.Reason {
	limit := s.Within.D()
	switch {
	case p.apart.Within(limit):
		return probe.OK
	case p.apart.Beyond(limit + s.allowance()):
		return reasonSkew
	}
	return reasonWithinUncertainty
}

// allowance is how far beyond the limit clocks may be apart before that is a failure. Around a leap second they may
// correctly differ by a second, and some smear it over a day.
func (s *runState) allowance() time.Duration {
	if s.leapNear {
		return time.Second
	}
	return 0
}

// reportServers notes the outcome of each NTP server, and whether this machine's clock is right according to those that
// agree.
func (s *runState) reportServers(r *probe.Result) {
	if len(s.NTP) == 0 {
		return
	}
	r.Each(s.NTP, func(i int, r *probe.Result) { s.reportServer(r, s.NTP[i], &s.answers[i]) })
	s.reportSelf(r)
}

func (s *runState) reportServer(r *probe.Result, name string, seen *serverReading) {
	if seen.err != nil {
		r.Inconclusive("servers", seen.err.Reason, "%s", seen.err.Detail)
		return
	}
	r.Measure(offsetGauge, seen.Offset.Mid().Seconds(), name)
	r.Measure(uncertaintyGauge, seen.Offset.Uncertainty().Seconds(), name)
	r.Measure(stratumGauge, float64(seen.Stratum), name)
	r.Measure(rootDistanceGauge, seen.RootDistance.Seconds(), name)
	r.Measure(rttGauge, seen.RTT.Seconds(), name)
	r.Measure(leapGauge, float64(seen.Leap), name)
	summary := fmt.Sprintf("stratum %d, %s this machine's clock", seen.Stratum, describeOffset(seen.Offset))
	if age := time.Since(seen.At); age > 10*time.Second {
		summary += ", asked " + text.Duration(age) + " ago"
	}
	switch {
	case !s.agreed:
		r.Inconclusive("servers", reasonQuorum, "%s; too few servers agree, so none can be called right", summary)
		return
	case seen.outside:
		r.Measure(falsetickerGauge, 1, name)
		r.Inconclusive("servers", reasonFalseticker, "%s, which %d of %d servers contradict; it is not used", summary, s.agree, len(s.NTP))
		return
	}
	r.Measure(falsetickerGauge, 0, name)
	r.Pass("servers", "%s", summary)
}

// reportSelf notes whether this machine's own clock is right.
func (s *runState) reportSelf(r *probe.Result) {
	if !s.agreed {
		usable := 0
		for i := range s.answers {
			if s.answers[i].err == nil {
				usable++
			}
		}
		if usable < s.quorum() {
			r.Inconclusive("ntp", reasonQuorum, "expected %d of %d NTP servers to agree, got usable answers from %d", s.quorum(), len(s.NTP), usable)
			return
		}
		r.Inconclusive("ntp", reasonQuorum, "expected %d of %d NTP servers to agree, but their times are too far apart", s.quorum(), len(s.NTP))
		return
	}
	r.Measure(offsetGauge, s.utc.Mid().Seconds(), utcName)
	r.Measure(uncertaintyGauge, s.utc.Uncertainty().Seconds(), utcName)
	own := timesync.Interval{}.Minus(s.utc)
	by := fmt.Sprintf("by %d of %d NTP servers", s.agree, len(s.NTP))
	switch {
	case own.Within(s.NTPWithin.D()):
		r.Pass("ntp", "this machine's clock is %s UTC, %s", describeOffset(own), by)
	case own.Beyond(s.NTPWithin.D() + s.allowance()):
		r.Fail("ntp", reasonSkew, "this machine's clock is %s UTC, expected within %s, %s", describeOffset(own), s.NTPWithin, by)
	default:
		r.Inconclusive("ntp", reasonWithinUncertainty, "this machine's clock is %s UTC, %s: inconclusive whether that is within %s%s", describeOffset(own), by, s.NTPWithin, s.leapSuffix())
	}
}

// reportSources notes whether each service's time could be read.
func (s *runState) reportSources(r *probe.Result) {
	r.Each(names(s.sources), func(i int, r *probe.Result) {
		seen, source := &s.clocks[i], s.sources[i]
		switch {
		case seen.err != nil:
			// That a service does not answer is for other probes to report. It says nothing about its clock.
			r.Inconclusive("source", seen.err.Reason, "its time cannot be read: %s", seen.err.Detail)
			return
		case seen.Samples == 0:
			r.Inconclusive("source", probe.NothingChecked, "it was not asked")
			return
		case seen.Empty():
			r.Inconclusive("source", reasonMixedClocks, "no single clock explains %s: it may be several servers, its clock may have been set, or its answers may come out of a cache", source.describeSource(seen.Samples))
			return
		case !seen.Moved && seen.late:
			r.Inconclusive("source", probe.StaleOrCached, "the run ended before its clock was seen to advance: set a longer timeout")
			return
		case !seen.Moved:
			r.Inconclusive("source", probe.StaleOrCached, "it gave the same time in %s: something keeps its answers", source.describeSource(seen.Samples))
			return
		}
		about := seen.Until(s.at(time.Now()))
		r.Measure(offsetGauge, about.Mid().Seconds(), source.name)
		r.Measure(uncertaintyGauge, about.Uncertainty().Seconds(), source.name)
		r.Pass("source", "%s this machine's clock, by %s", describeOffset(about), source.describeSource(seen.Samples))
	})
}

// describeSource says what was read from how many answers.
func (s *source) describeSource(n int) string {
	switch {
	case s.IAT != nil:
		return "the iat of " + text.Count(n, "token")
	case !s.JSON.IsZero():
		return fmt.Sprintf("%s of %s", s.JSON, text.Count(n, "answer"))
	case s.Redis != nil:
		return "the TIME of " + text.Count(n, "answer")
	case s.Postgres != nil:
		return "the clock_timestamp() of " + text.Count(n, "answer")
	}
	return "the Date of " + text.Count(n, "answer")
}

// reportPairs notes how far each two clocks are apart.
func (s *runState) reportPairs(r *probe.Result) {
	var known []pair
	var targets []string
	for _, p := range s.pairs() {
		target := p.a
		if p.b != utcName {
			target += "/" + p.b
		}
		if s.moved(p.a) && (p.b == utcName || s.moved(p.b)) {
			known = append(known, p)
			targets = append(targets, target)
		}
	}
	for i := range targets { // one by one, since not all have the same check
		r.Each(targets[i:i+1], func(_ int, r *probe.Result) { s.reportPair(r, known[i]) })
	}
}

func (s *runState) moved(name string) bool { return s.clocks[s.sourceIndex(name)].Moved }

func (s *runState) reportPair(r *probe.Result, p pair) {
	r.Measure(skewGauge, p.apart.Mid().Seconds(), p.a, p.b)
	r.Measure(skewUncertaintyGauge, p.apart.Uncertainty().Seconds(), p.a, p.b)
	a, b := p.a, p.b
	if b == utcName {
		b = "UTC"
	}
	apart := fmt.Sprintf("%s is %s %s", a, describeOffset(p.apart), b)
	from, one := s.sharedDateSource(p)
	switch why := s.judgePair(p); {
	case why == probe.OK && one:
		r.Inconclusive(p.check, reasonSameServer, "%s, but both Dates come from %s, where one proxy may write them: use the services' own addresses, json or iat", apart, from)
	case why == probe.OK:
		r.Pass(p.check, "%s", apart)
	case why == reasonSkew:
		r.Fail(p.check, reasonSkew, "%s", s.skewImpact(p, a, b))
	default:
		r.Inconclusive(p.check, reasonWithinUncertainty, "%s: inconclusive whether that is within %s%s", apart, s.Within, s.leapSuffix())
	}
}

// sharedDateSource reports whether both clocks were read from a Date from one address. A proxy there may have written both,
// as nginx does for all that is behind it, and agrees with itself whatever the services' clocks say.
func (s *runState) sharedDateSource(p pair) (from string, one bool) {
	if p.b == utcName {
		return "", false
	}
	a, b := s.sourceIndex(p.a), s.sourceIndex(p.b)
	from = s.clocks[a].from
	return from, s.sources[a].usesDate() && s.sources[b].usesDate() && from == s.clocks[b].from
}

func (s *runState) leapSuffix() string {
	if s.leapNear {
		return "; a leap second is announced"
	}
	return ""
}

// skewImpact says how far two clocks are apart, the one that is ahead first, and what that does to tokens.
func (s *runState) skewImpact(p pair, a, b string) string {
	apart := p.apart
	if apart.Mid() < 0 && p.b != utcName {
		a, b, apart = b, a, timesync.Interval{}.Minus(apart)
	}
	text := fmt.Sprintf("%s is %s %s, expected within %s; ", a, describeOffset(apart), b, s.Within)
	if apart.Mid() < 0 {
		return text + "it refuses tokens of other issuers as not yet valid with a leeway under " + leeway(apart) + ", and those it issues expire early"
	}
	return text + "tokens it issues are refused as not yet valid by verifiers with a leeway under " + leeway(apart)
}

// leeway is the clock skew that a verifier has to allow for.
func leeway(apart timesync.Interval) string {
	return text.Duration(max(apart.Lo.Abs(), apart.Hi.Abs()))
}

// describeOffset says how far one clock is ahead of another, with the uncertainty: "4.2 s (±0.3 s) ahead of".
func describeOffset(apart timesync.Interval) string {
	words := "ahead of"
	if apart.Mid() < 0 {
		words = "behind"
	}
	return fmt.Sprintf("%s (±%s) %s", text.Duration(apart.Mid()), text.Duration(apart.Uncertainty()), words)
}
