package config

import _ "embed"

// The configurations that are shipped: of the sample system, and of the two systems whose runbooks the prober serves.
var (
	//go:embed demo.yaml
	Demo []byte
	//go:embed ibex.yaml
	Ibex []byte
	//go:embed 1pass.yaml
	OnePass []byte
)
