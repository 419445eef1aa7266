package pods

import (
	"context"
	"time"

	"prober/internal/drop"
	"prober/internal/kubernetes"
	"prober/internal/probe"
	"prober/internal/text"
)

// askCronJob judges when a CronJob succeeded last. A Job of it that runs now and cannot succeed is a failure already.
func (p *Probe) askCronJob(ctx context.Context, r *probe.Result, namespace string) {
	j, o := p.client.CronJob(ctx, r, "api", namespace, p.CronJob)
	if !o.Passed() {
		kubernetes.Note(r, "api", o)
		return
	}
	now := time.Now()
	s := &snapshot{now: now, skew: skewOf(&j.Metadata, now)}
	if jobs := activeJobs(j); len(jobs) > 0 {
		all, o := p.client.Pods(ctx, r, "api", namespace, kubernetes.OfJobs(jobs))
		if !o.Passed() {
			kubernetes.Note(r, "api", o)
			return
		}
		s.pods = drop.If(all, func(pod kubernetes.Pod) bool { return !j.Owns(&pod) })
	}
	r.Pass("api", "read CronJob %s and %s of the Jobs that it runs now", p.CronJob, countPods(len(s.pods)))
	if at := j.Status.LastSuccessfulTime; at != nil {
		r.Measure(successGauge, float64(at.Unix()))
	}
	r.Note("last_success", p.lastSuccess(j, s))
}

// maxJobs bounds how many Jobs are looked at: more do not run at the same time but by mistake.
const maxJobs = 20

func activeJobs(j *kubernetes.CronJob) []string {
	var names []string
	for _, job := range j.Status.Active {
		if kubernetes.ValidateName(job.Name) == nil && len(names) < maxJobs {
			names = append(names, job.Name)
		}
	}
	return names
}

func (p *Probe) lastSuccess(j *kubernetes.CronJob, s *snapshot) probe.Outcome {
	for _, judge := range []func(*snapshot) probe.Outcome{imagePull, configError, crashLoop, memories{}.oomKilled} {
		if o := judge(s); o.Reason.Verdict == probe.Fail {
			return o
		}
	}
	suspended := ""
	switch {
	case j.Metadata.DeletionTimestamp != nil:
		return probe.Outcomef(reasonNoSuccess, "expected a CronJob that stays, got one that is being deleted")
	case j.Spec.Suspend:
		suspended = "; it is suspended"
	}
	limit := p.MaxAge
	at := j.Status.LastSuccessfulTime
	if at == nil {
		since := s.now.Sub(j.Metadata.CreationTimestamp)
		if since < p.MaxAge.D() {
			return probe.Outcomef(probe.Settling, "expected a success within %s, got none yet since the CronJob was made %s ago%s", limit, text.Roughly(since), suspended)
		}
		return probe.Outcomef(reasonNoSuccess, "expected a success within %s, got none%s", limit, suspended)
	}
	ago := s.now.Sub(*at)
	switch {
	case ago < -time.Minute:
		return probe.Outcomef(probe.StaleOrCached, "the last success is %s in the future: a clock is wrong", text.Roughly(-ago))
	case (ago - p.MaxAge.D()).Abs() < s.skew:
		return probe.Outcomef(probe.StaleOrCached, "the last success was about %s ago, but the clocks of the API server and of the prober differ by %s", text.Roughly(max(0, ago)), text.Roughly(s.skew))
	case ago > p.MaxAge.D():
		return probe.Outcomef(reasonNoSuccess, "expected a success within %s, got the last one %s ago%s", limit, text.Roughly(ago), suspended)
	}
	return probe.Outcomef(probe.OK, "the last success was %s ago%s", text.Roughly(max(0, ago)), suspended)
}
