package deploys

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"time"

	"prober/internal/drop"
	"prober/internal/probe"
	"prober/internal/sorted"
)

// Render is a service of Render.
type Render struct {
	Service string `yaml:"service" required:"true" doc:"the service's id, srv-..."`
	API     string `yaml:"api" default:"https://api.render.com" doc:"where the API is, without /v1"`
}

func (p *Render) url() string     { return cmp.Or(p.API, "https://api.render.com") }
func (p *Render) setting() string { return "render" }

func (p *Render) validate() error {
	if !word.MatchString(p.Service) {
		return probe.Settingf("service", "expected the id of a service, such as srv-abc123")
	}
	return nil
}

func (p *Render) path() string { return "/v1/services/" + url.PathEscape(p.Service) }

// renderSuspenders are who can suspend a service, in the words of the API.
var renderSuspenders = map[string]string{
	"admin": "an admin", "billing": "billing", "hipaa_enablement": "the enablement of HIPAA", "parent_service": "its parent service",
	"user": "a user", "unknown": "somebody unknown",
}

const renderCrashLoop = "stuck_crashlooping"

// suspended asks for the service. Its field suspended is a string beside its id; a missing one is not "not suspended".
func (p *Render) suspended(ctx context.Context, a *api) probe.Outcome {
	var service struct {
		ID         string   `json:"id"`
		Suspended  string   `json:"suspended"`
		Suspenders []string `json:"suspenders"`
	}
	if o := a.get(ctx, p.path(), nil, nil, &service); !o.Passed() {
		return o
	}
	looping := slices.Contains(service.Suspenders, renderCrashLoop)
	switch {
	case service.ID != p.Service:
		return probe.Outcomef(probe.Schema, "expected the service %s, got another one, or no id", p.Service)
	case looping:
		return probe.Outcomef(reasonCrashLoop, "expected a service that runs, got one that crashes whenever it is started (%s)", renderCrashLoop)
	case service.Suspended == "suspended":
		by := "nobody that is named"
		if len(service.Suspenders) > 0 {
			by = cmp.Or(renderSuspenders[service.Suspenders[0]], "one that the prober does not know")
		}
		return probe.Outcomef(reasonSuspended, "expected a service that is not suspended, got one that is suspended by %s", by)
	case service.Suspended == "":
		return probe.Outcomef(probe.Schema, "expected suspended or not_suspended, got none")
	case service.Suspended != "not_suspended":
		return probe.Outcomef(reasonState, "expected suspended or not_suspended, got something else")
	case len(service.Suspenders) > 0:
		return probe.Outcomef(probe.Schema, "the answer says that the service is not suspended, and by whom it is")
	}
	return probe.Outcomef(probe.OK, "the service is not suspended")
}

// renderStates are the statuses of a deploy.
var renderStates = map[string]probe.DeployState{
	"created": probe.DeployQueued, "queued": probe.DeployQueued,
	"build_in_progress": probe.DeployInProgress, "pre_deploy_in_progress": probe.DeployInProgress, "update_in_progress": probe.DeployInProgress,
	"live": probe.DeployLive, "deactivated": probe.DeploySuperseded, "canceled": probe.DeployCanceled,
	"build_failed": probe.DeployFailed, "pre_deploy_failed": probe.DeployFailed, "update_failed": probe.DeployFailed,
}

// Bounds of what is asked for.
const (
	renderPage  = 10
	renderPages = 3
	maxCursor   = 1024
)

// A renderDeploy is an entry of the list. Every field but the id may be missing.
type renderDeploy struct {
	Cursor string `json:"cursor"`
	Deploy struct {
		ID         string `json:"id"`
		Status     string `json:"status"`
		CreatedAt  string `json:"createdAt"`
		StartedAt  string `json:"startedAt"`
		FinishedAt string `json:"finishedAt"`
		Commit     struct {
			ID string `json:"id"`
		} `json:"commit"`
		Image struct {
			Ref string `json:"ref"`
			SHA string `json:"sha"`
		} `json:"image"`
	} `json:"deploy"`
}

func (p *Render) deploys(ctx context.Context, a *api) (all []deploy, o probe.Outcome) {
	query := url.Values{"limit": {itoa(renderPage)}}
	for range renderPages {
		var page []renderDeploy
		if o = a.get(ctx, p.path()+"/deploys", query, nil, &page); !o.Passed() {
			return nil, o
		}
		for _, d := range page[:min(len(page), renderPage)] {
			if !word.MatchString(d.Deploy.ID) {
				return nil, probe.Outcomef(probe.Schema, "expected the id of each deploy, got one without, or in another form")
			}
			all = append(all, d.deploy())
		}
		if len(page) < renderPage || page[renderPage-1].Cursor == "" || live(all) != nil {
			break
		}
		if len(page[renderPage-1].Cursor) > maxCursor {
			return nil, probe.Outcomef(probe.Schema, "expected a cursor of at most %s bytes, got a longer one", itoa(maxCursor))
		}
		query.Set("cursor", page[renderPage-1].Cursor)
	}
	return listed(all)
}

func (d renderDeploy) deploy() deploy {
	f := d.Deploy
	out := deploy{word: f.Status, names: words(f.Commit.ID, f.Image.SHA, tag(f.Image.Ref))}
	out.ID, out.State = f.ID, renderStates[f.Status]
	out.created, out.Started, out.Ended = moment(f.CreatedAt), moment(f.StartedAt), moment(f.FinishedAt)
	if out.Started.IsZero() {
		out.Started = out.created
	}
	return out
}

// listed completes a list of deploys: what each is called, and their order.
func listed(all []deploy) ([]deploy, probe.Outcome) {
	if len(all) == 0 {
		return nil, probe.Outcomef(reasonNone, "expected the deploys of the service, got none: that is also what a credential sees that may not see them")
	}
	seen := map[string]bool{}
	all = drop.If(all, func(d deploy) bool {
		twice := seen[d.ID]
		seen[d.ID] = true
		return twice
	})
	all = named(all)
	for i := range all {
		all[i].whole = all[i].Version
	}
	if !slices.ContainsFunc(all, func(d deploy) bool { return d.created.IsZero() }) {
		sorted.By(all, func(a, b deploy) int { return b.created.Compare(a.created) })
	}
	return all, probe.Outcome{Reason: probe.OK}
}

// named completes deploys: what each is called, and what is known of its end.
func named(all []deploy) []deploy {
	for i := range all {
		d := &all[i]
		if d.State == "" {
			d.State, d.word = probe.DeployUnknown, ""
		}
		if len(d.names) > 0 {
			d.Version = d.names[0]
		}
		if d.Ended.Before(d.Started) || d.UnderWay() {
			d.Ended = time.Time{}
		}
	}
	return all
}
