// Package config turns YAML into jobs.
//
// It is strict. A key that nobody reads, a value of the wrong shape, a name that leads nowhere: every mistake in all
// files is reported at once with its file and line, and any mistake refuses the whole load, since a probe left out
// in silence is a question nobody asks any more. No value out of a file is repeated in a message: it may be a secret
// in the wrong place.
package config

import (
	"prober/internal/probe"
)

// A Config is what a set of files says, ready to run.
type Config struct {
	Jobs     []probe.Job // in the order of the files and of their lines
	Warnings []string    // what is allowed and probably not meant
	Hash     string      // of all bytes read, as Sum makes it
}

// A File is the name and the bytes of one configuration file. The name is used in messages only.
type File struct {
	Name string
	Data []byte

	problem string // why there are no bytes
}

// Load reads files and directories and turns them into jobs. Each file is read once; the bytes that are hashed are
// those that are used. The error is an Errors.
func Load(kinds probe.Kinds, paths ...string) (*Config, error) {
	return Parse(kinds, Read(paths...)...)
}

// Parse turns files into jobs. It returns a Config with at least one job, or an error: an Errors with every mistake
// in the files, or one that says what is wrong with kinds.
func Parse(kinds probe.Kinds, files ...File) (*Config, error) {
	l := &loader{kinds: kinds, shapes: shapes{}}
	if err := l.checkKinds(); err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, Errors{{Text: "no configuration file is given"}}
	}
	for _, f := range files {
		l.load(f)
	}
	l.compare()
	l.validate()
	if errs := l.errors(); len(errs) > 0 {
		return nil, errs
	}
	c := &Config{Warnings: l.warnings(), Hash: Sum(files...)}
	for _, p := range l.entries {
		c.Jobs = append(c.Jobs, p.job)
	}
	return c, nil
}
