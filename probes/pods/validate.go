package pods

import (
	"errors"
	"regexp"
	"strings"

	"prober/internal/kubernetes"
	"prober/internal/probe"
	"prober/internal/sorted"
	"prober/probes/internal/replicas"
)

// variableName is what the name of a variable looks like (RFC 1123 does not bind them; shells do).
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,127}$`)

// Bounds of settings.
const (
	maxVariables = 100 // of a container
	maxRestarts  = 1000
)

// Validate reports all invalid settings, joined.
func (p *Probe) Validate() error {
	client, err := p.Settings.Client()
	p.client = client
	wrong := []error{err}
	names := map[string]string{"deployment": p.Deployment, "statefulset": p.StatefulSet, "daemonset": p.DaemonSet, "cronjob": p.CronJob}
	given := 0
	for _, path := range sorted.Keys(names) {
		if names[path] == "" {
			continue
		}
		given++
		wrong = append(wrong, probe.InSetting(path, kubernetes.ValidateName(names[path])))
	}
	if given != 1 {
		wrong = append(wrong, probe.Settingf("", "expected one of deployment, statefulset, daemonset and cronjob"))
	}
	wrong = append(wrong, p.validateReplicas(), p.validateEnv())
	if p.UnreadyGrace < 0 {
		wrong = append(wrong, probe.Settingf("unready_grace", "must not be below zero"))
	}
	if p.MaxRestarts != nil && (*p.MaxRestarts < 0 || *p.MaxRestarts > maxRestarts) {
		wrong = append(wrong, probe.Settingf("max_restarts", "expected 0 to %d", maxRestarts))
	}
	if !strings.HasPrefix(p.Ready, "/") {
		wrong = append(wrong, probe.Settingf("ready", "expected a path that begins with /"))
	}
	switch {
	case p.CronJob != "" && p.MaxAge <= 0:
		wrong = append(wrong, probe.Settingf("max_age", "expected how long ago the last success of the CronJob may be"))
	case p.CronJob == "" && p.MaxAge != 0:
		wrong = append(wrong, probe.Settingf("max_age", "is for a cronjob"))
	}
	if p.CronJob != "" && (p.Replicas.Want != 0 || !p.Replicas.None() || len(p.Env) > 0 || p.MaxRestarts != nil) {
		wrong = append(wrong, probe.Settingf("cronjob", "has no replicas, env and max_restarts: its last success counts"))
	}
	return errors.Join(wrong...)
}

func (p *Probe) validateReplicas() error {
	if p.Replicas.None() { // then it is just a number, if it is anything
		if p.Replicas.Want < 0 || p.Replicas.Want > replicas.MaxReplicas {
			return probe.Settingf("replicas.want", "expected 1 to %d, got %d", replicas.MaxReplicas, p.Replicas.Want)
		}
		return nil
	}
	return probe.InSetting("replicas", p.Replicas.Validate())
}

func (p *Probe) validateEnv() error {
	var wrong []error
	for _, container := range sorted.Keys(p.Env) {
		path := "env." + container
		wrong = append(wrong, probe.InSetting(path, kubernetes.ValidateName(container)))
		names := p.Env[container]
		if len(names) == 0 || len(names) > maxVariables {
			wrong = append(wrong, probe.Settingf(path, "expected 1 to %d variables", maxVariables))
		}
		for _, name := range names {
			if !variableName.MatchString(name) {
				wrong = append(wrong, probe.Settingf(path, "%q is not the name of a variable", name))
			}
		}
	}
	return errors.Join(wrong...)
}
