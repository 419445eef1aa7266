package deploys

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"prober/internal/probe"
	"prober/internal/sorted"
)

// GitHub are the deployments of a repository to one environment.
type GitHub struct {
	Repo        string `yaml:"repo" required:"true" doc:"OWNER/NAME"`
	Environment string `yaml:"environment" required:"true" doc:"the environment that is deployed to, such as production"`
	API         string `yaml:"api" default:"https://api.github.com" doc:"where the API is; of GitHub Enterprise Server: https://HOST/api/v3"`
}

func (p *GitHub) url() string     { return cmp.Or(p.API, "https://api.github.com") }
func (p *GitHub) setting() string { return "github" }

var repoPattern = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$`)

func (p *GitHub) validate() error {
	var wrong []error
	if !repoPattern.MatchString(p.Repo) {
		wrong = append(wrong, probe.Settingf("repo", "expected OWNER/NAME"))
	}
	if p.Environment == "" {
		wrong = append(wrong, probe.Settingf("environment", "is missing"))
	}
	return errors.Join(wrong...)
}

// githubStates are the states that a status gives to a deployment.
var githubStates = map[string]probe.DeployState{
	"waiting": probe.DeployWaiting, "pending": probe.DeployQueued, "queued": probe.DeployQueued, "in_progress": probe.DeployInProgress,
	"success": probe.DeployLive, "inactive": probe.DeploySuperseded, "failure": probe.DeployFailed, "error": probe.DeployFailed,
}

// Bounds of what is asked for. The state of each deployment is a request of its own.
const (
	githubPage     = 10
	githubStatuses = 30
)

// githubHeader asks for the version of the API that the fields are of.
var githubHeader = http.Header{"Accept": {"application/vnd.github+json"}, "X-Github-Api-Version": {"2022-11-28"}}

// A githubDeployment has no state of its own: that is in its statuses.
type githubDeployment struct {
	ID        int64  `json:"id"`
	SHA       string `json:"sha"`
	Ref       string `json:"ref"`
	CreatedAt string `json:"created_at"`
}

type githubStatus struct {
	State     string `json:"state"`
	CreatedAt string `json:"created_at"`
}

// deploys asks for the deployments, and for the states of the newest ones until one is live.
func (p *GitHub) deploys(ctx context.Context, a *api) (all []deploy, o probe.Outcome) {
	path := "/repos/" + p.Repo + "/deployments"
	var page []githubDeployment
	query := url.Values{"environment": {p.Environment}, "per_page": {itoa(githubPage)}}
	if o = a.get(ctx, path, query, githubHeader, &page); !o.Passed() {
		return nil, o
	}
	page = page[:min(len(page), githubPage)]
	if !slices.ContainsFunc(page, func(d githubDeployment) bool { return moment(d.CreatedAt).IsZero() }) {
		sorted.By(page, func(a, b githubDeployment) int { return moment(b.CreatedAt).Compare(moment(a.CreatedAt)) })
	}
	for i, d := range page {
		branch := slices.ContainsFunc(page, func(o githubDeployment) bool { return o.Ref == d.Ref && o.SHA != d.SHA })
		if branch {
			d.Ref = ""
		}
		if i >= maxMeasured && live(all) != nil {
			break
		}
		if d.ID <= 0 {
			return nil, probe.Outcomef(probe.Schema, "expected the id of each deployment, got one without")
		}
		next := deploy{names: words(d.SHA, numbered(d.Ref))}
		next.ID, next.Started = strconv.FormatInt(d.ID, 10), moment(d.CreatedAt)
		var statuses []githubStatus
		if o = a.get(ctx, path+"/"+next.ID+"/statuses", url.Values{"per_page": {itoa(githubStatuses)}}, githubHeader, &statuses); !o.Passed() {
			return nil, o
		}
		next.apply(statuses)
		all = append(all, next)
	}
	return listed(all)
}

// apply gives a deploy the state of its newest status. Without any, nobody has begun.
func (d *deploy) apply(statuses []githubStatus) {
	if len(statuses) == 0 {
		d.State, d.word = probe.DeployQueued, "pending"
		return
	}
	newest := statuses[0]
	if !slices.ContainsFunc(statuses, func(s githubStatus) bool { return moment(s.CreatedAt).IsZero() }) {
		newest = slices.MaxFunc(statuses, func(a, b githubStatus) int { return moment(a.CreatedAt).Compare(moment(b.CreatedAt)) })
	}
	d.State, d.word, d.Ended = githubStates[newest.State], newest.State, moment(newest.CreatedAt)
	if d.State == probe.DeploySuperseded { // that is when another one replaced it, not when it went live
		d.Ended = time.Time{}
		for _, s := range statuses {
			if at := moment(s.CreatedAt); githubStates[s.State] == probe.DeployLive && at.After(d.Ended) {
				d.Ended = at
			}
		}
	}
}
