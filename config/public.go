package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"prober/internal/probe"
	"prober/internal/text"
)

// A publicPage is the page for customers, as a file says it.
type publicPage struct {
	Title      string      `yaml:"title" required:"true" doc:"What customers call the product."`
	Text       string      `yaml:"description" doc:"A sentence below the title."`
	URL        string      `yaml:"url" required:"true" doc:"URL under which customers read the page; the entries of its feed are known by it."`
	Logo       string      `yaml:"logo" doc:"File with a picture: .svg, .png, .jpg or .webp, at most 64 KiB."`
	Notices    string      `yaml:"notices" doc:"File with announcements, planned maintenance and texts about incidents. It is read again whenever it changes."`
	Components []component `yaml:"components" required:"true" doc:"The parts of the product, in the order in which they are shown; at most 100."`
}

// A component is a part of the product, as a file says it.
type component struct {
	Name   string   `yaml:"name" required:"true" doc:"What customers call it."`
	Text   string   `yaml:"description" doc:"What it is, in a sentence."`
	Group  string   `yaml:"group" doc:"Components of one group are shown together."`
	Probes []string `yaml:"probes" required:"true" doc:"The probes that tell whether it works, each as NAME or, of another system, as SYSTEM/NAME."`
}

// Bounds of the public page: each component has 90 bars, and all of its probes are read for them.
const (
	maxComponents   = 100
	maxPublicProbes = 1000
)

// checkPublic refuses what cannot be told of the public page without the probes.
func (h *fileHeader) checkPublic(isUnread func(path string) bool) (wrong Errors) {
	p := h.Public
	refuse := func(path, format string, args ...any) {
		if !isUnread("public." + path) {
			wrong = append(wrong, h.mistake("public."+path, "public: "+format, args...))
		}
	}
	if p.Title == "" || !validText(p.Title) {
		refuse("title", "title wants 1 to 300 printable characters")
	}
	if !validText(p.Text) {
		refuse("description", "description %s", textRule)
	}
	if u, err := url.Parse(p.URL); !validLink(p.URL) || err != nil || u.Fragment != "" {
		refuse("url", "url wants http:// or https:// and a host, without a user, a query or a fragment")
	}
	if len(p.Components) == 0 {
		refuse("components", "components is empty")
	}
	if len(p.Components) > maxComponents {
		refuse("components", "expected at most %d components, got %d", maxComponents, len(p.Components))
	}
	probes := 0
	for i, c := range p.Components {
		path := fmt.Sprintf("components[%d].", i)
		if c.Name == "" || !validText(c.Name) || utf8.RuneCountInString(c.Name) > 64 {
			refuse(path+"name", "the name of a component wants 1 to 64 printable characters")
		}
		if slices.ContainsFunc(p.Components[:i], func(o component) bool { return o.Name == c.Name }) {
			refuse(path+"name", "a component of this name is listed already")
		}
		if !validText(c.Text) {
			refuse(path+"description", "description %s", textRule)
		}
		if !validText(c.Group) || utf8.RuneCountInString(c.Group) > 64 {
			refuse(path+"group", "group wants at most 64 printable characters")
		}
		if len(c.Probes) == 0 {
			refuse(path+"probes", "probes is empty: nothing tells whether the component works")
		}
		probes += len(c.Probes)
	}
	if probes > maxPublicProbes {
		refuse("components", "expected at most %d probes, all components together, got %d", maxPublicProbes, probes)
	}
	return wrong
}

// crosscheckPublic refuses a second public page, and components whose probes do not exist.
func crosscheckPublic(headers []*fileHeader, unknown func(system, name string) bool, names map[string][]string) (wrong Errors) {
	var first *fileHeader
	for _, h := range headers {
		if !h.public {
			continue
		}
		if first != nil {
			wrong = append(wrong, h.mistake("public", "public: there is one page, and it is %s", first.seenFrom(h.place, "public")))
			continue
		}
		first = h
		for i, c := range h.Public.Components {
			for j, name := range c.Probes {
				path := fmt.Sprintf("public.components[%d].probes[%d]", i, j)
				key := h.keyOf(name)
				if unknown(key.System, key.Name) || key.System != h.System && !validName(key.System) {
					wrong = append(wrong, h.mistake(path, "public: probes names no probe%s", text.DidYouMean(name, h.namesFrom(names))))
				}
				if slices.ContainsFunc(c.Probes[:j], func(other string) bool { return h.keyOf(other) == key }) {
					wrong = append(wrong, h.mistake(path, "public: probes names a probe twice"))
				}
			}
		}
	}
	return wrong
}

// keyOf returns which probe a component means.
func (h *fileHeader) keyOf(name string) probe.Key {
	if system, name, ok := strings.Cut(name, "/"); ok {
		return probe.Key{System: system, Name: name}
	}
	return probe.Key{System: h.System, Name: name}
}

// namesFrom returns all names by which a component may name a probe.
func (h *fileHeader) namesFrom(names map[string][]string) (all []string) {
	for system, some := range names {
		for _, name := range some {
			if system == h.System {
				all = append(all, name)
			}
			all = append(all, system+"/"+name)
		}
	}
	return all
}

// makePublic returns the public page and the system whose file has it, and tells the jobs of its components. It is nil if no
// file has one.
func makePublic(headers []*fileHeader, jobs []probe.Job) (page *probe.PublicPage, system string) {
	for _, h := range headers {
		if !h.public {
			continue
		}
		page = &probe.PublicPage{Title: h.Public.Title, Text: h.Public.Text, URL: h.Public.URL, Logo: h.beside(h.Public.Logo), Notices: h.beside(h.Public.Notices)}
		for _, c := range h.Public.Components {
			part := probe.Component{Name: c.Name, Text: c.Text, Group: c.Group}
			for _, name := range c.Probes {
				key := h.keyOf(name)
				for i := range jobs {
					if jobs[i].Key() == key {
						part.Probes = append(part.Probes, jobs[i].ID)
						jobs[i].Components = append(jobs[i].Components, c.Name)
					}
				}
			}
			page.Components = append(page.Components, part)
		}
		return page, h.System
	}
	return nil, ""
}

// beside returns the path of a file that is named in this one.
func (h *fileHeader) beside(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(h.file), path)
}

// publicNode returns the public page as a file says it.
func publicNode(page *probe.PublicPage) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	if page == nil {
		return n
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, c := range page.Components {
		probes := &yaml.Node{Kind: yaml.SequenceNode}
		for _, id := range c.Probes {
			probes.Content = append(probes.Content, scalar(id.Key().String()))
		}
		part := &yaml.Node{Kind: yaml.MappingNode}
		set(part, "name", scalar(c.Name))
		set(part, "description", scalar(c.Text))
		set(part, "group", scalar(c.Group))
		set(part, "probes", probes)
		list.Content = append(list.Content, part)
	}
	set(n, "title", scalar(page.Title))
	set(n, "description", scalar(page.Text))
	set(n, "url", scalar(page.URL))
	set(n, "logo", scalar(page.Logo))
	set(n, "notices", scalar(page.Notices))
	set(n, "components", list)
	return n
}
