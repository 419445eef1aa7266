package deploys

import (
	"errors"

	"prober/internal/probe"
)

// Validate reports all invalid settings, joined.
func (p *Probe) Validate() error {
	var wrong []error
	platforms := p.platforms()
	if len(platforms) != 1 {
		wrong = append(wrong, probe.Settingf("", "expected one of render, github and kubernetes"))
	}
	p.platform = &Render{}
	urls := map[string]string{}
	for _, one := range platforms {
		p.platform = one
		wrong = append(wrong, probe.InSetting(one.setting(), one.validate()))
		if c, ok := one.(connector); ok {
			wrong = append(wrong, probe.InSetting(one.setting(), c.connect(p.Settings)))
			continue
		}
		urls[one.setting()+".api"] = one.url()
	}
	client, err := p.Settings.ClientFor(urls)
	p.client = client
	wrong = append(wrong, err)
	if p.Version != nil {
		wrong = append(wrong, probe.Settingf("version", "has no meaning here; it is a setting of runs"))
	}
	if p.VersionGrace != 0 {
		wrong = append(wrong, probe.Settingf("version_grace", "has no meaning here; it is a setting of runs"))
	}
	if p.Runs != nil {
		wrong = append(wrong, probe.InSetting("runs", p.Runs.validate()))
	}
	if p.Stuck < 0 {
		wrong = append(wrong, probe.Settingf("stuck", "must be above zero"))
	}
	if p.Freeze != nil {
		wrong = append(wrong, probe.InSetting("freeze", p.Freeze.validate()))
	}
	return errors.Join(wrong...)
}

// platforms are those that are configured.
func (p *Probe) platforms() (all []platform) {
	if p.Render != nil {
		all = append(all, p.Render)
	}
	if p.GitHub != nil {
		all = append(all, p.GitHub)
	}
	if p.Kubernetes != nil {
		all = append(all, p.Kubernetes)
	}
	return all
}
