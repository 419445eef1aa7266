package config

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/internal/strictyaml"
)

// What applies where neither a file nor a probe says otherwise. The tags of header repeat it for the schema.
const (
	defaultInterval = 30 * time.Second
	defaultTimeout  = 5 * time.Second
)

// A header is what a file says beside its probes.
type header struct {
	System      string `yaml:"system" required:"true" doc:"Name of the system; becomes a label of every series."`
	description `yaml:",inline"`
	Interval    *probe.Duration    `yaml:"interval" default:"30s" doc:"How often each probe runs, from 1s to 24h."`
	Timeout     *probe.Duration    `yaml:"timeout" default:"5s" doc:"How long a run may take, less than the interval. By default at most four fifths of the interval."`
	Labels      map[string]string  `yaml:"labels" empty:"true" doc:"Constant labels for every series of every probe."`
	Runbooks    map[string]runbook `yaml:"runbooks" empty:"true" doc:"The procedures that the probes serve, by name."`
	Probes      []*yaml.Node       `yaml:"probes" required:"true" doc:"The probes."`

	Severities map[string]probe.Response `yaml:"severities" empty:"true" doc:"By severity, what its alerts ask of people."`

	Maintenance []maintenance `yaml:"maintenance" empty:"true" doc:"Windows during which alerts stay quiet; probing and metrics continue."`

	Public publicPage `yaml:"public" doc:"The page for customers. One file may have it, for the probes of all."`
}

// A description is what people call a system, a runbook or a probe.
type description struct {
	Title  string `yaml:"title" empty:"true" doc:"What people call it; shown on the pages and in alerts."`
	Text   string `yaml:"description" empty:"true" doc:"What it is, in a sentence or two; shown on the pages."`
	Impact string `yaml:"impact" empty:"true" doc:"What a failure means to customers; shown on the pages, in incident notes and in alerts. A probe without it has its runbook's, else its system's."`
}

// check complains about what cannot be shown as a line of text.
func (d description) check(p place, path, who string) (wrong Errors) {
	for _, part := range [][2]string{{"title", d.Title}, {"description", d.Text}, {"impact", d.Impact}} {
		if key, text := part[0], part[1]; text != "" && !validText(text) {
			wrong = append(wrong, p.mistake(path+key, "%s%s %s", who, key, textRule))
		}
	}
	return wrong
}

// A runbook is a procedure for incidents.
type runbook struct {
	description `yaml:",inline"`
	Severity    string `yaml:"severity" doc:"critical, warning or info; P0 to P5; or sev0 to sev5."`
	URL         string `yaml:"url" doc:"URL of the procedure."`
	SLO         *slo   `yaml:"slo" doc:"The objective of its probes together: alerts tell that its budget is spent too fast."`
}

// equal reports whether two files say the same of a runbook.
func (r runbook) equal(other runbook) bool {
	same := r.objective() == other.objective()
	r.SLO, other.SLO = nil, nil
	return same && r == other
}

// An slo is a service level objective.
type slo struct {
	Objective float64         `yaml:"objective" required:"true" doc:"The percentage of the conclusive runs that must pass, such as 99.9."`
	Window    *probe.Duration `yaml:"window" default:"30d" doc:"Over which time, from 1d to 90d."`
}

// defaultSLOWindow is that of an objective that states none.
const defaultSLOWindow = 30 * 24 * time.Hour

// objective is the objective of a runbook.
func (r runbook) objective() (o probe.Objective) {
	if r.SLO == nil {
		return o
	}
	o = probe.Objective{Percent: r.SLO.Objective, Window: defaultSLOWindow}
	if r.SLO.Window != nil {
		o.Window = r.SLO.Window.D()
	}
	return o
}

// A fileHeader is the header of a file and where it is.
type fileHeader struct {
	place
	header
	known   bool // which system the file is about, and which probes it has
	windows []systemWindow
	public  bool // it has the public page

	responses map[int]probe.Response // by level of severity
}

// parseTree returns the tree of a file, or nil.
func parseTree(f File) (*yaml.Node, Errors) {
	if f.problem != "" {
		return nil, Errors{{File: f.Name, Text: f.problem}}
	}
	root, found := strictyaml.Parse(f.Data, maxBytes)
	return root, place{file: f.Name}.all(found)
}

// all returns mistakes of the decoder as mistakes of the place.
func (p place) all(found []strictyaml.Mistake) (wrong Errors) {
	for _, m := range found {
		wrong = append(wrong, p.mistakeAt(m.Line, "%s", m.Text))
	}
	return wrong
}

// foreign are keys at the top of the files of others, and whose they are.
var foreign = [...]string{
	"modules", "blackbox_exporter" + imported,
	"scrape_configs", "Prometheus" + imported,
	"endpoints", "gatus" + imported,
	"groups", "Prometheus' rules; prober rules makes such a file from a configuration",
	"route", "Alertmanager; prober rules --alertmanager makes such a file from a configuration",
	"basic_auth_users", "--web.config.file",
	"tls_server_config", "--web.config.file",
	"services", "Docker Compose",
	"apiVersion", "Kubernetes; a configuration may be in it, as a ConfigMap that is mounted",
}

const imported = "; prober import translates it, see docs/coming-from.md"

// readHeader reads what a file says beside its probes. What is wrong has its default. Keys that begin with "x-" belong
// to whoever writes the file, as places for anchors.
func readHeader(d *strictyaml.Decoder, file string, t *tree) (*fileHeader, Errors) {
	root := cmp.Or(t.head, t.root)
	h := &fileHeader{place: place{file: file, tree: t}}
	if root == nil {
		return h, nil
	}
	if _, system := strictyaml.Lookup(root, "system"); system == nil {
		for i := 0; i < len(foreign); i += 2 {
			if key, _ := strictyaml.Lookup(root, foreign[i]); key != nil {
				return h, Errors{h.mistakeAt(key.Line, "%s: this is a file of %s", foreign[i], foreign[i+1])}
			}
		}
	}
	mine := func(key string) bool { return !strings.HasPrefix(key, "x-") }
	found := d.Decode(strictyaml.Select(root, mine), &h.header)
	wrong := h.all(found)
	unread := func(path string) bool {
		return slices.ContainsFunc(found, func(m strictyaml.Mistake) bool { return m.Concerns(path) })
	}
	h.known = validName(h.System)
	if !h.known && !unread("system") {
		wrong = append(wrong, h.mistake("system", "system %s", nameRule))
	}
	if len(h.Probes) == 0 && !unread("probes") {
		wrong = append(wrong, h.mistake("probes", "probes is empty"))
	}
	wrong = append(wrong, h.description.check(h.place, "", "")...)
	wrong = append(wrong, h.checkTimes()...)
	wrong = append(wrong, checkLabels(h.place, h.Labels)...)
	wrong = append(wrong, h.checkRunbooks()...)
	wrong = append(wrong, h.readSeverities()...)
	wrong = append(wrong, h.readWindows(found)...)
	if _, page := strictyaml.Lookup(root, "public"); page != nil {
		h.public = true
		wrong = append(wrong, h.checkPublic(unread)...)
	}
	return h, wrong
}

func (h *fileHeader) checkTimes() (wrong Errors) {
	h.Interval, h.Timeout, wrong = checkTimes(h.place, h.Interval, h.Timeout)
	if h.Interval != nil && h.Timeout != nil && *h.Timeout >= *h.Interval {
		wrong = append(wrong, h.mistake("timeout", "timeout %s must be shorter than the interval %s", h.Timeout, h.Interval))
		h.Timeout = nil
	}
	return wrong
}

func (h *fileHeader) checkRunbooks() (wrong Errors) {
	for _, name := range sorted.Keys(h.Runbooks) {
		r, path := h.Runbooks[name], "runbooks."+name
		if !validName(name) {
			wrong = append(wrong, h.mistake(path, "the name of a runbook %s", nameRule))
		}
		wrong = append(wrong, r.description.check(h.place, path+".", "runbooks."+strictyaml.Shown(name)+": ")...)
		if r.Severity != "" {
			if err := probe.ValidateSeverity(r.Severity); err != nil {
				wrong = append(wrong, h.mistake(path+".severity", "runbooks.%s: severity %s", strictyaml.Shown(name), err))
			}
		}
		if o := r.objective(); r.SLO != nil {
			if !(o.Percent >= 50 && o.Percent < 100) {
				wrong = append(wrong, h.mistake(path+".slo.objective", "runbooks.%s: slo: expected an objective from 50 to below 100 percent", strictyaml.Shown(name)))
			}
			if o.Window < 24*time.Hour || o.Window > 90*24*time.Hour {
				wrong = append(wrong, h.mistake(path+".slo.window", "runbooks.%s: slo: expected a window from 1d to 90d", strictyaml.Shown(name)))
			}
		}
		if r.URL != "" && !validLink(r.URL) {
			wrong = append(wrong, h.mistake(path+".url", "runbooks.%s: url wants http:// or https:// and a host, without a user or a query", strictyaml.Shown(name)))
		}
	}
	return wrong
}

// readSeverities reads what alerts ask of people. Words of one level are one severity.
func (h *fileHeader) readSeverities() (wrong Errors) {
	h.responses = map[int]probe.Response{}
	for _, word := range sorted.Keys(h.Severities) {
		path, r := "severities."+word, h.Severities[word]
		level, ok := probe.SeverityLevel(word)
		if !ok {
			wrong = append(wrong, h.mistake(path, "severities: the key %s", probe.ValidateSeverity(word)))
			continue
		}
		if _, taken := h.responses[level]; taken {
			wrong = append(wrong, h.mistake(path, "severities.%s: another word for the same severity is listed too", word))
		}
		for key, text := range map[string]string{"respond": r.Respond, "escalate": r.Escalate} {
			if text != "" && !validLabelValue(text) {
				wrong = append(wrong, h.mistake(path+"."+key, "severities.%s: %s %s", word, key, labelValueRule))
			}
		}
		h.responses[level] = r
	}
	return wrong
}

// validLink tells whether a runbook's address can be shown to people as it is.
func validLink(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.RawQuery == ""
}

// checkTimes returns an interval and a timeout, or nil in place of one that cannot be.
func checkTimes(p place, interval, timeout *probe.Duration) (_, _ *probe.Duration, wrong Errors) {
	if interval != nil && (interval.D() < time.Second || interval.D() > 24*time.Hour) {
		wrong = append(wrong, p.mistake("interval", "interval %s must be from 1s to 24h", interval))
		interval = nil
	}
	if timeout != nil && timeout.D() < time.Millisecond {
		wrong = append(wrong, p.mistake("timeout", "timeout %s must be at least 1ms", timeout))
		timeout = nil
	}
	return interval, timeout, wrong
}
