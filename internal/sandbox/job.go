package sandbox

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// jobPeriod is how often the job of the sample system runs.
const jobPeriod = 2 * time.Second

// A job is how the job of the sample system behaves, which reports to the prober when it begins and how it ended.
type job struct {
	off     bool   // it does not run
	end     string // the path of the report that it ended
	hangs   bool   // it begins and does not end
	atATime int    // how many run, one after the other
}

// A jobFault changes how the job behaves.
type jobFault func(*job)

func onJob(change jobFault) []*effect { return []*effect{{alterJob: change}} }

// alteredJob is the job with the active faults.
func (s *Sandbox) alteredJob() job {
	j := job{atATime: 1}
	for _, f := range *s.active.Load() {
		for _, e := range f.effects {
			if e.alterJob != nil {
				e.alterJob(&j)
			}
		}
	}
	return j
}

// jobFaults break the job.
func jobFaults() []Fault {
	const silent, says = "a job that nobody notices is gone", "a job that says itself what is wrong"
	return []Fault{
		{"heartbeat-late", "the job no longer runs, so that no report comes", silent, onJob(func(j *job) { j.off = true })},
		{"heartbeat-fails", "the job reports that it ended with exit status 1", says, onJob(func(j *job) { j.end = "/1" })},
		{"heartbeat-too-often", "the job runs three times in a row where it ought to run once", "a job that is scheduled twice", onJob(func(j *job) { j.atATime = 3 })},
		{"heartbeat-hangs", "the job reports that it began, and never that it ended", silent, onJob(func(j *job) { j.hangs = true })},
	}
}

// A reporter runs the job.
type reporter struct {
	mu   sync.Mutex
	stop context.CancelFunc
	done sync.WaitGroup
}

// ReportTo has the job report to a URL from now on, and no longer to another. When it returns, the job has run once.
func (s *Sandbox) ReportTo(url string) {
	s.endReports()
	s.reports.mu.Lock()
	defer s.reports.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	s.reports.stop = cancel
	s.runJob(ctx, url)
	s.reports.done.Go(func() {
		tick := time.NewTicker(jobPeriod)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.runJob(ctx, url)
			case <-ctx.Done():
				return
			}
		}
	})
}

func (s *Sandbox) endReports() {
	s.reports.mu.Lock()
	defer s.reports.mu.Unlock()
	if s.reports.stop != nil {
		s.reports.stop()
	}
	s.reports.done.Wait()
}

func (s *Sandbox) runJob(ctx context.Context, url string) {
	j := s.alteredJob()
	for range j.atATime {
		if j.off {
			return
		}
		id := make([]byte, 16)
		rand.Read(id)
		run := fmt.Sprintf("?rid=%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
		report(ctx, url+"/start"+run)
		if !j.hangs {
			report(ctx, url+j.end+run)
		}
	}
}

// report sends a report. Whether it arrives is for the prober to notice.
func report(ctx context.Context, url string) {
	ctx, cancel := context.WithTimeout(ctx, jobPeriod)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if answer, err := client.Do(q); err == nil {
		io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<10))
		answer.Body.Close()
	}
}
