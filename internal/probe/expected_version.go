package probe

import "slices"

// CheckExpectedVersion is the check that what answers is the version of Job.ExpectVersion.
const CheckExpectedVersion = "expected_version"

// checkExpectedVersion compares the versions that were stated with the expected one, for each target of a probe that reads
// them. A target that states none may be any version.
func (r *Result) checkExpectedVersion(want string) {
	var targets []string
	for _, x := range r.Exchanges {
		if x.SoughtVersion && !slices.Contains(targets, x.Target) {
			targets = append(targets, x.Target)
		}
	}
	for _, target := range targets {
		o, traceID := r.expectedVersion(want, target)
		r.appendCheck(CheckExpectedVersion, target, traceID, o)
	}
}

func (r *Result) expectedVersion(want, target string) (o Outcome, traceID string) {
	o = Outcomef(NoVersion, "expected version %s, got an answer without a version, or none", want)
	for _, x := range r.Exchanges {
		switch {
		case x.Target != target || !x.SoughtVersion || x.Version == "":
		case !SameVersion(x.Version, want):
			return Outcomef(WrongVersion, "expected version %s, got %s", want, x.Version), x.TraceID
		default:
			o, traceID = Outcomef(OK, "got version %s", x.Version), x.TraceID
		}
	}
	return o, traceID
}
