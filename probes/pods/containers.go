package pods

import (
	"strings"
	"time"

	"prober/internal/kubernetes"
	"prober/internal/probe"
	"prober/internal/text"
)

// past is when something happened. What has no time, or one to come, is taken to have happened just now: clocks differ.
func (s *snapshot) past(at time.Time) time.Time {
	if at.IsZero() || at.After(s.now) {
		return s.now
	}
	return at
}

// within reports whether something happened at most so long ago.
func (s *snapshot) within(at time.Time, d time.Duration) bool { return s.now.Sub(s.past(at)) < d }

// loops reports whether a container crashes again and again. Between two crashes it runs, so that its present state alone does not
// tell: two short runs, one after the other, do.
func (s *snapshot) loops(c *kubernetes.ContainerStatus) bool {
	return waits(c) == "CrashLoopBackOff" || s.crashedTwice(c) && c.State.Running == nil
}

// crashedTwice reports whether a container has ended at least twice, the last time lately and after a short run.
func (s *snapshot) crashedTwice(c *kubernetes.ContainerStatus) bool {
	last := c.LastState.Terminated
	if now := c.State.Terminated; now != nil { // it has ended, and was not started again yet
		return c.RestartCount >= 1 && s.short(now)
	}
	return c.RestartCount >= 2 && last != nil && s.short(last)
}

// short reports whether a run ended lately, and soon after its start.
func (s *snapshot) short(t *kubernetes.Terminated) bool {
	return s.within(t.FinishedAt, calm) && (t.StartedAt.IsZero() || t.FinishedAt.Sub(t.StartedAt) < calm)
}

func crashLoop(s *snapshot) probe.Outcome {
	if n := s.having(s.loops); n > 0 {
		return probe.Outcomef(reasonCrashLoop, "%d of %s: a container crashes again and again%s", n, s.seen(), s.exitCodes())
	}
	if n := s.having(s.crashedTwice); n > 0 {
		return probe.Outcomef(probe.Settling, "%d of %s: a container runs that ended twice soon after its start, the last time less than %s ago", n, s.seen(), probe.Duration(calm))
	}
	return probe.Outcomef(probe.OK, "no container of %s crashes again and again", s.seen())
}

// exitCodes says with what status the containers that crash ended, if it is the same of all.
func (s *snapshot) exitCodes() string {
	code, known := 0, false
	for i := range s.pods {
		for _, c := range containers(&s.pods[i]) {
			t := c.LastState.Terminated
			if c.State.Terminated != nil {
				t = c.State.Terminated
			}
			if !s.loops(c) || t == nil {
				continue
			}
			if known && t.ExitCode != code {
				return ""
			}
			code, known = t.ExitCode, true
		}
	}
	switch {
	case !known || code < 0 || code > 255:
		return ""
	case code == 137:
		return ", killed (exit status 137)"
	}
	return ", exit status " + itoa(code)
}

// ranOut returns when a container ran out of memory lately; the zero time if it did not.
func (s *snapshot) ranOut(c *kubernetes.ContainerStatus) time.Time {
	for _, t := range []*kubernetes.Terminated{c.State.Terminated, c.LastState.Terminated} {
		if t != nil && t.Reason == "OOMKilled" && s.within(t.FinishedAt, oomRecent) {
			return s.past(t.FinishedAt)
		}
	}
	return time.Time{}
}

// imageReasons are why a container waits for its image, in the words of the kubelet.
var imageReasons = map[string]bool{
	"ErrImagePull": true, "ImagePullBackOff": true, "InvalidImageName": true, "ErrImageNeverPull": true, "ImageInspectError": true,
	"RegistryUnavailable": true, "SignatureValidationFailed": true,
}

func lacksImage(c *kubernetes.ContainerStatus) bool { return imageReasons[waits(c)] }

func imagePull(s *snapshot) probe.Outcome {
	if n := s.having(lacksImage); n > 0 {
		return probe.Outcomef(reasonImagePull, "%d of %s: a container has no image%s", n, s.seen(), s.reasons(func(c *kubernetes.ContainerStatus) string {
			if lacksImage(c) {
				return waits(c)
			}
			return ""
		}))
	}
	return probe.Outcomef(probe.OK, "every container of %s has its image", countPods(s.begun()))
}

// configReasons are why a container cannot be created, or not be started, in the words of the kubelet.
var configReasons = map[string]bool{
	"CreateContainerConfigError": true, "CreateContainerError": true, "RunContainerError": true, "PreStartHookError": true, "PostStartHookError": true,
	"PreCreateHookError": true, "CreatePodSandboxError": true, "ConfigPodSandboxError": true, "VerifyNonRootError": true, "RunInitContainerError": true,
}

// startReasons are why a container ended before it began, in the words of the runtimes. The kubelet waits before it tries again.
var startReasons = map[string]bool{"StartError": true, "ContainerCannotRun": true}

// configFault returns in which word a container cannot be created or started, and the message with it; empty if it can.
func configFault(c *kubernetes.ContainerStatus) (word, message string) {
	if w := c.State.Waiting; w != nil && configReasons[w.Reason] {
		return w.Reason, w.Message
	}
	t := c.State.Terminated
	if t == nil && c.State.Running == nil {
		t = c.LastState.Terminated
	}
	if t != nil && startReasons[t.Reason] {
		return t.Reason, t.Message
	}
	return "", ""
}

func lacksConfig(c *kubernetes.ContainerStatus) bool {
	word, _ := configFault(c)
	return word != ""
}

func configError(s *snapshot) probe.Outcome {
	if n := s.having(lacksConfig); n > 0 {
		return probe.Outcomef(reasonConfigError, "%d of %s: a container cannot be started%s%s", n, s.seen(), s.reasons(func(c *kubernetes.ContainerStatus) string { word, _ := configFault(c); return word }), s.missing())
	}
	return probe.Outcomef(probe.OK, "no container of %s lacks what it is configured with", countPods(s.begun()))
}

// reasons lists why containers do not run, in words that are known.
func (s *snapshot) reasons(of func(*kubernetes.ContainerStatus) string) string {
	seen := map[string]bool{}
	var words []string
	for i := range s.pods {
		for _, c := range containers(&s.pods[i]) {
			if word := of(c); word != "" && !seen[word] {
				seen[word] = true
				words = append(words, word)
			}
		}
	}
	return " (" + text.List(words, 3) + ")"
}

// missing says what is missing, by the form of the kubelet's messages. None of their words is repeated: they have names in them.
func (s *snapshot) missing() string {
	for i := range s.pods {
		for _, c := range containers(&s.pods[i]) {
			if _, message := configFault(c); message != "" {
				if what := classify(message); what != "" {
					return ": " + what
				}
			}
		}
	}
	return ""
}

func classify(message string) string {
	message = strings.ToLower(message[:min(len(message), 2000)])
	has := func(words ...string) bool {
		for _, w := range words {
			if !strings.Contains(message, w) {
				return false
			}
		}
		return true
	}
	switch {
	case has("couldn't find key", "in secret"):
		return "a variable names a key that its Secret does not have"
	case has("couldn't find key", "in configmap"):
		return "a variable names a key that its ConfigMap does not have"
	case has("secret", "not found"):
		return "a Secret does not exist"
	case has("configmap", "not found"):
		return "a ConfigMap does not exist"
	case has("forbidden"):
		return "the kubelet may not read a Secret or ConfigMap"
	case has("runasnonroot"):
		return "its image would run as root, which runAsNonRoot forbids"
	case has("executable file not found"), has("no such file or directory"):
		return "its command, or a file, does not exist in the image"
	case has("permission denied"):
		return "it has no permission for its command, or a file"
	}
	return ""
}
