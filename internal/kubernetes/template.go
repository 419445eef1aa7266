package kubernetes

// A PodTemplate is what pods are made from. It is read from the API and from manifests.
type PodTemplate struct {
	Metadata struct {
		Labels map[string]string `json:"labels" yaml:"labels"`
	} `json:"metadata" yaml:"metadata"`
	Spec PodSpec `json:"spec" yaml:"spec"`
}

// A PodSpec lists the containers of a pod.
type PodSpec struct {
	InitContainers []Container `json:"initContainers" yaml:"initContainers"`
	Containers     []Container `json:"containers" yaml:"containers"`
}

// A Container is one process of a pod, as it is configured.
type Container struct {
	Name           string          `json:"name" yaml:"name"`
	Image          string          `json:"image" yaml:"image"`
	RestartPolicy  string          `json:"restartPolicy" yaml:"restartPolicy"` // Always makes an init container a sidecar
	Ports          []ContainerPort `json:"ports" yaml:"ports"`
	Env            []Variable      `json:"env" yaml:"env"`
	EnvFrom        []any           `json:"envFrom" yaml:"envFrom"` // every key of a Secret or ConfigMap
	LivenessProbe  *HealthProbe    `json:"livenessProbe" yaml:"livenessProbe"`
	ReadinessProbe *HealthProbe    `json:"readinessProbe" yaml:"readinessProbe"`
	StartupProbe   *HealthProbe    `json:"startupProbe" yaml:"startupProbe"`
}

// A Variable is one of a container's environment.
type Variable struct {
	Name      string `json:"name" yaml:"name"`
	Value     string `json:"value" yaml:"value"`
	ValueFrom *struct {
		SecretKeyRef    *KeyRef `json:"secretKeyRef" yaml:"secretKeyRef"`
		ConfigMapKeyRef *KeyRef `json:"configMapKeyRef" yaml:"configMapKeyRef"`
	} `json:"valueFrom" yaml:"valueFrom"`
}

// A KeyRef names a key of a Secret or ConfigMap.
type KeyRef struct {
	Optional bool `json:"optional" yaml:"optional"` // the variable is left out if there is none
}

// A ContainerPort is a port that a container listens on.
type ContainerPort struct {
	Name          string `json:"name" yaml:"name"`
	ContainerPort int    `json:"containerPort" yaml:"containerPort"`
	Protocol      string `json:"protocol" yaml:"protocol"` // TCP if empty
}

// A HealthProbe is how the kubelet asks a container for its health.
type HealthProbe struct {
	HTTPGet *HTTPGet `json:"httpGet" yaml:"httpGet"`
	Exec    *Exec    `json:"exec" yaml:"exec"`
	GRPC    *GRPC    `json:"grpc" yaml:"grpc"`
}

// HTTPGet asks a page.
type HTTPGet struct {
	Path string `json:"path" yaml:"path"`
	Port any    `json:"port" yaml:"port"` // a number, or the name of a port
}

// Exec runs a command in the container.
type Exec struct {
	Command []string `json:"command" yaml:"command"`
}

// GRPC asks the health service of gRPC.
type GRPC struct {
	Port    int    `json:"port" yaml:"port"`
	Service string `json:"service" yaml:"service"`
}
