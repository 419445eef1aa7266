package importer

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"prober/internal/sorted"
	"prober/internal/strictyaml"
)

// readPrometheus takes the targets of modules from the scrape configurations.
func readPrometheus(s *source, modules map[string]*module) {
	global := s.inner("global")
	interval := global.duration("scrape_interval", promDuration)
	if interval == 0 {
		interval = time.Minute
	}
	timeout := global.duration("scrape_timeout", promDuration)
	for _, job := range s.list("scrape_configs") {
		readJob(job, modules, interval, timeout)
	}
}

// readJob takes the targets of one scrape configuration, if it is one of blackbox_exporter.
func readJob(s *source, modules map[string]*module, interval, timeout time.Duration) {
	name, tail := s.text("job_name"), &s.tail
	params := s.inner("params")
	given := params.texts("module")
	rules := s.list("relabel_configs")
	toModule := slices.ContainsFunc(rules, func(r *source) bool { return r.text("target_label") == "__param_module" })
	if len(given) == 0 && !toModule {
		if s.text("metrics_path") == "/probe" {
			s.without(tail, "job "+strictyaml.Shown(name), "names no module")
		}
		return // it reads something else
	}
	if d := s.duration("scrape_interval", promDuration); d > 0 {
		interval = d
	}
	if d := s.duration("scrape_timeout", promDuration); d > 0 {
		timeout = d
	}
	before := map[string]string{"job": name, "__metrics_path__": s.text("metrics_path")}
	for _, key := range []string{"module", "target"} {
		if all := params.texts(key); len(all) > 0 {
			before["__param_"+key] = all[0]
		}
	}
	for _, group := range s.list("static_configs") {
		static := group.inner("labels")
		for _, address := range group.texts("targets") {
			labels := maps.Clone(before)
			labels["__address__"] = address
			for _, key := range static.keys() {
				labels[key] = static.text(key)
			}
			if relabel(rules, labels) {
				addTarget(group, modules, labels, interval, timeout)
			}
		}
	}
	for _, key := range s.keys() {
		if strings.HasSuffix(key, "_sd_configs") {
			s.without(tail, "job "+strictyaml.Shown(name)+": "+key, "targets are listed in the file here")
		}
	}
	for _, r := range rules {
		if !r.replaces() && !slices.Contains([]string{"keep", "drop", "labeldrop", "labelkeep"}, r.text("action")) {
			s.without(tail, "job "+strictyaml.Shown(name)+": relabel_configs, action "+strictyaml.Shown(r.text("action")), noEquivalent)
		}
	}
}

// addTarget makes a target a probe.
func addTarget(s *source, modules map[string]*module, labels map[string]string, interval, timeout time.Duration) {
	target := labels["__param_target"]
	m := modules[labels["__param_module"]]
	if target == "" {
		s.without(&s.tail, "a target of job "+strictyaml.Shown(labels["job"]), "no rule makes it __param_target")
		return
	}
	if m == nil {
		s.without(&s.tail, "a target of job "+strictyaml.Shown(labels["job"]), "the file of blackbox_exporter has no module "+strictyaml.Shown(labels["__param_module"]))
		return
	}
	if m.kind == "" {
		s.unmatched++
		s.tail.note("  a target of it is in the job " + strictyaml.Shown(labels["job"]))
		return
	}
	own := &mapping{}
	own.set("name", s.name(nameOf(target)))
	m.target(s, own, target)
	if m.timeout > 0 && (timeout == 0 || m.timeout < timeout) {
		timeout = m.timeout
	}
	s.times(own, interval, timeout)
	var extra [][2]string
	for _, key := range sorted.Keys(labels) {
		if v := labels[key]; !strings.HasPrefix(key, "__") && key != "job" && key != "instance" && v != "" {
			extra = append(extra, [2]string{key, v})
		}
	}
	s.labels(own, extra)
	m.uses = append(m.uses, use{s, own})
}

// nameOf is a name for what a target says, without its scheme, user and query.
func nameOf(target string) string {
	if _, rest, ok := strings.Cut(target, "://"); ok {
		target = rest
	}
	target = target[strings.LastIndexByte(target, '@')+1:]
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		target = target[:i]
	}
	return strings.TrimPrefix(target, "www.")
}

func (s *source) replaces() bool { a := s.text("action"); return a == "" || a == "replace" }

// relabel applies rules as Prometheus does, and says whether the target is kept.
func relabel(rules []*source, labels map[string]string) bool {
	for _, r := range rules {
		separator, pattern, replacement := ";", "(.*)", "$1"
		for key, at := range map[string]*string{"separator": &separator, "regex": &pattern, "replacement": &replacement} {
			if r.take(key) != nil {
				*at = r.text(key)
			}
		}
		re, err := regexp.Compile("^(?s:" + pattern + ")$")
		if err != nil {
			r.wrong("regex", "a regular expression")
			return false
		}
		var values []string
		for _, name := range r.texts("source_labels") {
			values = append(values, labels[name])
		}
		joined := strings.Join(values, separator)
		found := re.FindStringSubmatchIndex(joined)
		switch action := r.text("action"); {
		case action == "keep" && found == nil, action == "drop" && found != nil:
			return false
		case action == "labeldrop", action == "labelkeep":
			maps.DeleteFunc(labels, func(name, _ string) bool { return re.MatchString(name) == (action == "labeldrop") })
		case r.replaces() && found != nil:
			labels[r.text("target_label")] = string(re.ExpandString(nil, replacement, joined, found))
		}
	}
	return true
}
