package sandbox

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"net/http"
	"strconv"
	"time"
)

// A witness is what the Prometheus of the sample system has: every counter and gauge that the services expose, scraped every
// few seconds for the last eight days.
type witness struct {
	sandbox *Sandbox

	changes  []trafficFault
	onset    time.Time                 // since when customers call otherwise
	dead     time.Time                 // since when nothing is scraped any more; zero while it is
	only     func(service string) bool // the services whose series it has; all if nil
	values   func(float64) float64     // what it makes of a result; the result if nil
	warnings []string                  // of every answer
}

// A witnessFault changes what the Prometheus has seen, or says.
type witnessFault func(*witness)

func onWitness(change witnessFault) *effect {
	return &effect{hosts: []string{promHost}, alterWitness: change}
}

// Times of the Prometheus.
const (
	scrapeInterval = 5 * time.Second
	lookback       = 5 * time.Minute  // for how long the last sample of a series counts
	incidentLead   = 15 * time.Minute // how long an incident has lasted when its fault is injected
	scrapesDead    = 2 * time.Minute  // how long nothing has been scraped when that fault is injected
)

// queryRoute answers instant queries, as Prometheus does.
const queryRoute = "/api/v1/query"

// servePrometheus makes a host the Prometheus that scrapes the others.
func servePrometheus(h *host) {
	h.handle(queryRoute, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodPost {
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		at, err := queryTime(r.FormValue("time"))
		if err != nil {
			writeJSON(w, http.StatusBadRequest, object{"status": "error", "errorType": "bad_data", "error": err.Error()})
			return
		}
		e := &evaluation{witness: h.sandbox.witness(), at: at}
		result, err := e.query(r.FormValue("query"))
		if err != nil {
			writeJSON(w, http.StatusBadRequest, object{"status": "error", "errorType": "bad_data", "error": err.Error()})
			return
		}
		answer := object{"status": "success", "data": result.json(at)}
		if e.witness.warnings != nil {
			answer["warnings"] = e.witness.warnings
		}
		writeJSON(w, http.StatusOK, answer)
	})
}

// queryTime reads the time of a query: seconds since the epoch, or RFC 3339.
func queryTime(text string) (time.Time, error) {
	if text == "" {
		return time.Now(), nil
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(seconds) < 1e11 {
		return time.UnixMilli(int64(seconds * 1000)), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	return time.Time{}, errors.New("cannot parse the time")
}

// witness is the Prometheus with the active faults.
func (s *Sandbox) witness() *witness {
	p := &witness{sandbox: s, onset: time.Now()}
	for _, f := range *s.active.Load() {
		for _, e := range f.effects {
			if e.alterWitness != nil {
				e.alterWitness(p)
			}
		}
	}
	return p
}

// scraped lists every series of every service, with the labels that Prometheus adds.
func (p *witness) scraped() []series {
	var all []series
	for _, h := range p.sandbox.hosts {
		service := services[h.name]
		if h.meter == nil || p.only != nil && !p.only(service) {
			continue
		}
		found := h.meter.series(p.onset, p.changes...)
		found = append(found, series{name: "up", labels: map[string]string{}, at: func(t time.Time) float64 {
			if !p.dead.IsZero() && !t.Before(p.dead) {
				return 0
			}
			return 1
		}})
		if service == "proxy" {
			found = append(found, h.meter.expectedStatuses()...)
		}
		for i := range found {
			found[i].labels = maps.Clone(found[i].labels)
			found[i].labels["job"], found[i].labels["instance"] = service, h.name
		}
		all = append(all, found...)
	}
	return all
}

// services are the values of the label job.
var services = map[string]string{proxy1: "proxy", proxy2: "proxy", proxy3: "proxy", memories: "memories"}

// lastScrape is when a series was scraped last, at the latest at the time t. What Prometheus itself writes, it writes even if
// the scrape fails.
func (p *witness) lastScrape(s series, t time.Time) time.Time {
	last := t.Truncate(scrapeInterval)
	if !p.dead.IsZero() && last.After(p.dead) && s.name != "up" {
		last = p.dead.Truncate(scrapeInterval)
	}
	return last
}

// since is when the scrapes began.
func (p *witness) since() time.Time { return p.sandbox.host(proxy1).meter.since }

// A vector is the result of a query: samples, or one number without labels.
type vector struct {
	scalar  bool
	samples []vectorSample
}

type vectorSample struct {
	labels map[string]string
	value  float64
}

// json writes a result as Prometheus does: values are texts, since JSON has no NaN.
func (v vector) json(at time.Time) object {
	value := func(x float64) []any {
		return []any{json.Number(strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)), strconv.FormatFloat(x, 'f', -1, 64)}
	}
	if v.scalar {
		return object{"resultType": "scalar", "result": value(v.samples[0].value)}
	}
	list := []object{}
	for _, s := range v.samples {
		list = append(list, object{"metric": s.labels, "value": value(s.value)})
	}
	return object{"resultType": "vector", "result": list}
}
