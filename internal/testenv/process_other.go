//go:build !linux

package testenv

import "os/exec"

// KillWithParent does nothing here: only Linux can kill a command when its parent ends.
func KillWithParent(*exec.Cmd) {}

func killGroup(*exec.Cmd) {}
