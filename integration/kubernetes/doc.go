// Package kubernetes tests the files that cosproxy manifest prints, with the libraries of
// the programs that read them: Kubernetes' types and Pod Security admission, Kustomize, the
// Prometheus Operator and Compose. It is a module of its own, so that cosproxy does not
// depend on these libraries.
package kubernetes
