//go:build !linux

package testenv

import (
	"os/exec"
	"time"
)

// KillWithParent does nothing here: only Linux can kill a command when its parent ends.
func KillWithParent(*exec.Cmd) {}

func killGroup(*exec.Cmd) {}

var started = time.Now()

func threadTime() time.Duration { return time.Since(started) }
