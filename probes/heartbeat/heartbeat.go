// Package heartbeat has the kind of probe to which a job reports in: a backup, a task of cron, a queue that works.
package heartbeat

import (
	"errors"
	"time"

	"prober/internal/probe"
	"prober/internal/secret"
)

// Probe waits for the reports of a job, as people know them from healthchecks.io: a request to the path of the probe says that the
// job succeeded, one to /start below it that it began, and one to /fail or /STATUS how it ended.
type Probe struct {
	Token    secret.Secret   `yaml:"token" required:"true" doc:"the secret that is the probe's path at --inbound.listen-address: 22 random letters and digits or more"`
	Period   probe.Duration  `yaml:"period" doc:"how often the job reports that it ended"`
	Cron     string          `yaml:"cron" doc:"in place of period, when it begins, as in crontab(5): 0 3 * * *"`
	TimeZone string          `yaml:"time_zone" default:"UTC" doc:"of cron, such as Europe/Berlin"`
	Grace    probe.Duration  `yaml:"grace" default:"5m" doc:"how much later a report may come"`
	Duration durations       `yaml:"duration" doc:"how long the job may take, from its start to its end"`
	MinGap   *probe.Duration `yaml:"min_gap" doc:"minimum time between two reports that the job ended"`

	schedule schedule
	zone     *time.Location
}

type durations struct {
	Min *probe.Duration `yaml:"min" doc:"a job that is done sooner did nothing"`
	Max *probe.Duration `yaml:"max" doc:"a job that has begun must end within; by default within grace"`
}

// Checks of a run.
const (
	checkOnTime    = "on_time"
	checkSuccess   = "success"
	checkFinished  = "finished"
	checkDuration  = "duration"
	checkFrequency = "frequency"
)

// Reasons of this kind.
var (
	reasonLate = probe.Reason{Word: "late", Verdict: probe.Fail, Text: "the job did not report in time",
		Action: "Look at the host or the scheduler of the job: it did not run, or its report cannot reach the prober."}
	reasonNeverCame = probe.Reason{Word: "never_came", Verdict: probe.Fail, Text: "the job never reported",
		Action: "Check that the job runs, and that its URL has the token of this probe and reaches the inbound listener: the prober has never had a report."}
	reasonFailed = probe.Reason{Word: "job_failed", Verdict: probe.Fail, Text: "the job reported a failure",
		Action: "Read the log of the job: it ran, and says itself that it failed."}
	reasonHangs = probe.Reason{Word: "job_hangs", Verdict: probe.Fail, Text: "the job began and did not end",
		Action: "Look for the process of the job: it hangs, was killed, or its host went down in the middle."}
	reasonTooLong = probe.Reason{Word: "too_long", Verdict: probe.Fail, Text: "the job took too long",
		Action: "See what slowed the job down: more data, a lock, a busy host; the next one may overlap with it."}
	reasonTooShort = probe.Reason{Word: "too_short", Verdict: probe.Fail, Text: "the job was done too soon",
		Action: "Check what the job did: one that is done at once often had nothing to read, or an error that it did not report."}
	reasonTooOften = probe.Reason{Word: "too_often", Verdict: probe.Fail, Text: "the job reported too often",
		Action: "Look for a second host or schedule that runs the same job, or for a job that is restarted again and again."}
	reasonNoStart = probe.Reason{Word: "no_start", Verdict: probe.Inconclusive, Text: "no report of the start",
		Action: "Have the job report to /start when it begins, or take duration out of the configuration."}
	reasonNotHeard = probe.Reason{Word: "not_heard", Verdict: probe.Inconclusive, Text: "the prober may have missed a report",
		Action: "Nothing, if the prober was restarted: the next report decides. Otherwise see why its listener refused (prober_inbound_requests_total)."}
)

// Measures of this kind.
var (
	reportsCounter = &probe.Measure{
		Name: "probe_heartbeat_reports_total", Help: "Reports of the job, by what they say; of the start, the end, or a line for the log.",
		Labels: []string{"signal"}, Counter: true,
	}
	successGauge = &probe.Measure{
		Name: "probe_heartbeat_last_success_timestamp_seconds", Help: "When the job last reported a success.", Kept: true,
	}
	startGauge = &probe.Measure{
		Name: "probe_heartbeat_last_start_timestamp_seconds", Help: "When the job last reported that it began.", Kept: true,
	}
	durationGauge = &probe.Measure{
		Name: "probe_heartbeat_duration_seconds", Help: "How long the job took that ended last, from its report of the start to that of the end.", Kept: true,
	}
	deadlineGauge = &probe.Measure{
		Name: "probe_heartbeat_deadline_timestamp_seconds", Help: "When the next report must have come, grace included.",
	}
)

// Kind describes the kind to the rest of the prober.
func Kind() probe.Kind {
	return probe.Kind{
		New:      func() probe.Probe { return New() },
		Summary:  "whether a job reports in: on time, with success, not too long, not too short, not too often",
		Measures: []*probe.Measure{reportsCounter, successGauge, startGauge, durationGauge, deadlineGauge},
		Reasons: []probe.Reason{
			reasonLate, reasonNeverCame, reasonFailed, reasonHangs, reasonTooLong, reasonTooShort, reasonTooOften, reasonNoStart, reasonNotHeard,
		},
	}
}

var (
	_ probe.BodyIgnorer = (*Probe)(nil)
	_ probe.Initializer = (*Probe)(nil)
)

// New returns a probe with its default settings.
func New() *Probe { return &Probe{TimeZone: "UTC", Grace: probe.Duration(5 * time.Minute)} }

// Bounds of settings.
const (
	minPeriod = time.Second
	maxPeriod = 400 * 24 * time.Hour
)

// Validate reports all invalid settings, joined.
func (p *Probe) Validate() error {
	var wrong []error
	bounded := func(path string, d *probe.Duration) {
		if d != nil && (d.D() < minPeriod || d.D() > maxPeriod) {
			wrong = append(wrong, probe.Settingf(path, "expected %s to %s, got %s", probe.Duration(minPeriod), probe.Duration(maxPeriod), *d))
		}
	}
	switch {
	case p.Cron == "" && p.Period == 0, p.Cron != "" && p.Period != 0:
		wrong = append(wrong, probe.Settingf("", "expected one of period and cron"))
	case p.Cron != "":
		wrong = append(wrong, p.readCron())
	default:
		bounded("period", &p.Period)
		if p.TimeZone != "UTC" {
			wrong = append(wrong, probe.Settingf("time_zone", "is for cron"))
		}
	}
	bounded("grace", &p.Grace)
	bounded("duration.min", p.Duration.Min)
	bounded("duration.max", p.Duration.Max)
	bounded("min_gap", p.MinGap)
	if p.Duration.Min != nil && *p.Duration.Min >= p.limit() && p.limit() > 0 {
		wrong = append(wrong, probe.Settingf("duration.min", "expected less than the maximum, %s", p.limit()))
	}
	if p.MinGap != nil && p.Period > 0 && *p.MinGap >= p.Period {
		wrong = append(wrong, probe.Settingf("min_gap", "expected less than the period, %s", p.Period))
	}
	return errors.Join(wrong...)
}

func (p *Probe) readCron() error {
	zone, err := time.LoadLocation(p.TimeZone)
	if err != nil || p.TimeZone == "" || p.TimeZone == "Local" {
		return probe.Settingf("time_zone", "expected a time zone that this machine knows, such as Europe/Berlin")
	}
	if p.schedule, err = parseCron(p.Cron); err != nil {
		return probe.Settingf("cron", "%s", err)
	}
	if p.zone = zone; p.schedule.next(time.Now().In(zone)).IsZero() {
		return probe.Settingf("cron", "there is no such day")
	}
	return nil
}

// limit is how long the job may take.
func (p *Probe) limit() probe.Duration {
	if p.Duration.Max != nil {
		return *p.Duration.Max
	}
	return p.Grace
}

// Checks names the checks of a run.
func (p *Probe) Checks() []string {
	all := []string{checkOnTime, checkSuccess, checkFinished}
	if p.Duration != (durations{}) {
		all = append(all, checkDuration)
	}
	if p.MinGap != nil {
		all = append(all, checkFrequency)
	}
	return all
}

// InboundToken is the token of the probe's path.
func (p *Probe) InboundToken() secret.Secret { return p.Token }

// IgnoresBodies says that a report is in the path.
func (p *Probe) IgnoresBodies() {}

// InitialSamples are the counters.
func (p *Probe) InitialSamples() []probe.Sample {
	var all []probe.Sample
	for _, s := range signals {
		all = append(all, probe.Sample{Measure: reportsCounter, Values: []string{s}})
	}
	return all
}

// early is how much sooner than cron has it a job may report its end: the clocks of two machines differ.
const early = 30 * time.Second

// deadline returns by when a report must come that follows one at a time.
func (p *Probe) deadline(last time.Time) time.Time {
	if p.Period != 0 {
		return last.Add(p.Period.D() + p.Grace.D())
	}
	return p.schedule.next(last.In(p.zone)).Add(p.Grace.D())
}
