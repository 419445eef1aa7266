package rls

import (
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"prober/internal/canary"
	"prober/internal/probe"
	"prober/internal/sorted"
)

// An Org is a test org.
type Org struct {
	ID string `yaml:"id" required:"true" short:"true" doc:"the value of the setting, and of the column, for this org"`
}

// maxOrgs is how many test orgs there may be.
const maxOrgs = 5

var (
	idPattern      = regexp.MustCompile(`^[A-Za-z0-9_.:@-]{1,128}$`)
	settingPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$`)
)

func (p *Probe) validateOrgs() error {
	var wrong []error
	if !settingPattern.MatchString(p.Setting) {
		wrong = append(wrong, probe.Settingf("setting", "expected a name with a dot, such as app.org_id"))
	}
	if len(p.Orgs) < 2 || len(p.Orgs) > maxOrgs {
		wrong = append(wrong, probe.Settingf("orgs", "expected 2 to %d, got %d", maxOrgs, len(p.Orgs)))
	}
	ids := map[string]string{}
	for _, name := range p.orgNames() {
		id := p.Orgs[name].ID
		wrong = append(wrong, probe.InSetting("orgs."+name, probe.ValidateName(name)))
		if !idPattern.MatchString(id) {
			wrong = append(wrong, probe.Settingf("orgs."+name+".id", "expected letters, digits and any of _.:@-, at most 128"))
		}
		if other, taken := ids[strings.ToLower(id)]; taken {
			wrong = append(wrong, probe.Settingf("orgs."+name+".id", "has the id of %s: an org is not kept apart from itself", other))
		}
		ids[strings.ToLower(id)] = name
	}
	if len(p.canaryTables()) == 0 && p.MinTables != 0 {
		wrong = append(wrong, probe.Settingf("canaries", "expected tables that hold a row of every test org: without them nothing shows that there was something to see"))
	}
	return errors.Join(append(wrong, validateNames("canaries", p.Canaries))...)
}

// orgNames lists the test orgs by name.
//
//go:noinline
func (p *Probe) orgNames() []string { return sorted.Keys(p.Orgs) }

// as is the situation of a test org.
func (p *Probe) as(name string) situation {
	return situation{name: name, set: true, value: p.Orgs[name].ID}
}

// canaryTables lists the tables that hold a row of every test org.
func (p *Probe) canaryTables() []string {
	if len(p.Canaries) > 0 {
		return p.Canaries
	}
	return p.Tables
}

// nobody returns the id of an org that does not exist, in the form of those that do.
func (p *Probe) nobody() string {
	uuids, numbers := true, true
	for _, org := range p.Orgs {
		uuids = uuids && len(org.ID) == 36 && strings.Count(org.ID, "-") == 4
		numbers = numbers && strings.Trim(org.ID, "0123456789") == ""
	}
	switch {
	case uuids:
		var b [16]byte
		rand.Read(b[:]) // never returns an error
		return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	case numbers:
		return "2147483646"
	}
	return canary.Random()
}
