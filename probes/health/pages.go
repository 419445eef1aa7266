package health

import (
	"errors"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"prober/internal/httpx"
	"prober/internal/probe"
	"prober/probes/internal/expect"
)

// Live says how a service tells that its process is up.
type Live struct {
	Path   string         `yaml:"path" short:"true" doc:"the path, with a query if need be"`
	Status httpx.Statuses `yaml:"status,omitempty" default:"200" doc:"the statuses of a live process"`
	Expect expect.Content `yaml:"expect,omitempty" doc:"what such an answer must hold"`
}

// Ready says how a service tells whether it accepts traffic.
type Ready struct {
	Path    string         `yaml:"path" short:"true" doc:"the path, with a query if need be"`
	Status  httpx.Statuses `yaml:"status,omitempty" default:"200" doc:"the statuses of a service that accepts traffic"`
	Unready httpx.Statuses `yaml:"unready,omitempty" default:"503" doc:"the statuses of a service that is not ready and says so"`
	Expect  expect.Content `yaml:"expect,omitempty" doc:"what the answer of a service that accepts traffic must hold; one that is well-formed and does not is not ready"`
}

// Dependency says how what a service needs to be ready tells that it is up.
type Dependency struct {
	URL    string         `yaml:"url" short:"true" doc:"the URL to request"`
	Status httpx.Statuses `yaml:"status,omitempty" default:"2xx" doc:"the statuses of a dependency that is up"`
	Expect expect.Content `yaml:"expect,omitempty" doc:"what the answer of a dependency that is up must hold"`
}

func (d *Dependency) statuses() httpx.Statuses { return orStatuses(d.Status, httpx.Success...) }

// A page is one of the two paths of a service, with its defaults filled in.
type page struct {
	path            string
	yes, no         httpx.Statuses
	yesHTML, noHTML bool           // such an answer may be an HTML page; one that nothing else identifies is an ingress's
	content         expect.Content // of a yes
}

func (l *Live) page() page {
	return page{
		path: l.Path, yes: orStatuses(l.Status, 200), no: httpx.Codes(503),
		yesHTML: identifies(&l.Expect), content: l.Expect,
	}
}

func (r *Ready) page() page {
	return page{
		path: r.Path, yes: orStatuses(r.Status, 200), no: orStatuses(r.Unready, 503),
		yesHTML: identifies(&r.Expect), noHTML: !r.Unready.IsZero(), content: r.Expect,
	}
}

func orStatuses(given httpx.Statuses, otherwise ...int) httpx.Statuses {
	if given.IsZero() {
		return otherwise
	}
	return given
}

// identifies reports whether the content distinguishes an answer from that of any other server.
func identifies(c *expect.Content) bool {
	positive := func(m *expect.Match) bool { return !m.Negative() }
	return c.Body != nil && positive(c.Body) ||
		slices.ContainsFunc(slices.Collect(maps.Values(c.Headers)), positive) ||
		slices.ContainsFunc(slices.Collect(maps.Values(c.JSON)), positive)
}

// name is the path without its query, which is not shown.
func (p page) name() string {
	name, _, _ := strings.Cut(p.path, "?")
	return name
}

// known lists the statuses that say yes or no.
func (p page) known() httpx.Statuses { return slices.Concat(p.yes, p.no) }

// validatePages reports what is wrong with the two pages of the service.
func (h *Probe) validatePages() error {
	wrong := []error{h.validatePage("live", h.Live.page()), h.validatePage("ready", h.Ready.page())}
	ready := h.Ready.page()
	if h.Marker == nil && ready.no.Contains(404) {
		wrong = append(wrong, probe.Settingf("ready.unready", "404 is also the answer for a path that does not exist; only a marker distinguishes them"))
	}
	for _, code := range ready.yes.Codes() {
		if ready.no.Contains(code) {
			wrong = append(wrong, probe.Settingf("ready.unready", "%d cannot mean both ready and not ready", code))
		}
	}
	live := h.Live.page()
	if live.path == ready.path && slices.Equal(live.yes, ready.yes) && reflect.DeepEqual(live.content, ready.content) {
		wrong = append(wrong, probe.Settingf("ready", "is the same page as live, so the split cannot be seen"))
	}
	return errors.Join(wrong...)
}

func (h *Probe) validatePage(key string, p page) error {
	wrong := []error{probe.InSetting(key+".expect", p.content.Validate())}
	if u, err := url.Parse(p.path); err != nil || !strings.HasPrefix(p.path, "/") || u.Host != "" || strings.ContainsAny(p.path, " #") {
		wrong = append(wrong, probe.Settingf(key+".path", "expected a path that begins with /"))
	}
	if p.yes.Contains(404) {
		wrong = append(wrong, probe.Settingf(key+".status", "404 is also the answer for a path that does not exist"))
	}
	if !p.yes.HasBody() && (p.content.Body != nil || len(p.content.JSON) > 0) {
		wrong = append(wrong, probe.Settingf(key+".expect", "an answer with status %s has no body", p.yes))
	}
	return errors.Join(wrong...)
}
