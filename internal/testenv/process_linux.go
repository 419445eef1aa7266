package testenv

import (
	"os/exec"
	"syscall"
	"time"
)

// KillWithParent ties a command to this process: it gets a process group of its own, and the kernel kills it when this
// process ends in whatever way, a panic and the timeout of `go test` among them.
func KillWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	// The signal comes with the end of the thread that started the command. The runtime ends no thread but those of
	// goroutines that are locked to one and return; no test starts a command from such a goroutine.
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}

// killGroup kills what a command left behind in its process group.
func killGroup(cmd *exec.Cmd) {
	if cmd.SysProcAttr != nil && cmd.SysProcAttr.Setpgid {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
}

func threadTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
