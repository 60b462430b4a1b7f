package kubernetes_test

import (
	"os"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// TestKustomize_Workloads adds the component to workloads of all kinds, and checks that
// they have the sidecar in front of their own init containers, and still their own parts.
func TestKustomize_Workloads(t *testing.T) {
	for name, environ := range environments(t, "kustomize") {
		t.Run(name, func(t *testing.T) {
			pods := build(t, manifest(t, environ, "kustomize"))
			for _, kind := range []string{"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"} {
				pod := pods[kind]
				if pod == nil {
					t.Errorf("no %s", kind)
					continue
				}
				restricted(t, pod)
				sidecar(t, &pod.Spec)
				if len(pod.Spec.InitContainers) != 2 || pod.Spec.InitContainers[1].Name != "migrate" || len(pod.Spec.Containers) != 1 ||
					pod.Spec.Containers[0].Image != "registry.example/web" || *pod.Spec.TerminationGracePeriodSeconds != 90 {
					t.Errorf("%s lost a part of its own: %+v", kind, pod.Spec)
				}
			}
			if other := pods["other"]; other == nil || len(other.Spec.InitContainers) != 1 {
				t.Errorf("a workload without the label is changed: %+v", other)
			}
		})
	}
}

func TestKustomize_NastyValues(t *testing.T) {
	for _, value := range nasty {
		environ := with(t, "kustomize", "COSPROXY_ROLE_EXTERNAL_ID="+value)
		for kind, pod := range build(t, manifest(t, environ, "kustomize")) {
			if got := variable(&pod.Spec.InitContainers[0], "COSPROXY_ROLE_EXTERNAL_ID"); got != value && kind != "other" {
				t.Errorf("%s: %q becomes %q", kind, value, got)
			}
		}
	}
}

func TestKustomize_BreakingCharacters(t *testing.T) {
	accepted(t, "kustomize", func(value, socket string, text []byte) {
		for kind, pod := range build(t, text) {
			c := &pod.Spec.InitContainers[0]
			if got := variable(c, "COSPROXY_ROLE_EXTERNAL_ID"); got != value && kind != "other" {
				t.Errorf("%s: %q becomes %q", kind, value, got)
			}
			if got := variable(c, "COSPROXY_LISTEN"); got != "unix://"+socket && kind != "other" {
				t.Errorf("%s: %q becomes %q", kind, socket, got)
			}
		}
	})
}

// TestKustomize_ServiceAccount: the service accounts of workloads are not changed, so the
// webhook of TKE does not give the token to the application.
func TestKustomize_ServiceAccount(t *testing.T) {
	accounts := 0
	for _, doc := range buildAll(t, manifest(t, environments(t, "kustomize")["oidc"], "kustomize")) {
		var account corev1.ServiceAccount
		if err := yaml.Unmarshal(doc, &account); err != nil {
			t.Fatal(err)
		}
		if account.Kind == "ServiceAccount" {
			accounts++
			if len(account.Annotations) > 0 {
				t.Errorf("annotations %v", account.Annotations)
			}
		}
	}
	if accounts != 1 {
		t.Errorf("%d service accounts", accounts)
	}
}

// build applies a component to testdata/workloads.yaml and returns the pod templates by
// kind; that of the workload without the label is "other".
func build(t *testing.T, component []byte) map[string]*corev1.PodTemplateSpec {
	t.Helper()
	pods := make(map[string]*corev1.PodTemplateSpec)
	for _, doc := range buildAll(t, component) {
		var meta struct {
			Kind     string
			Metadata struct{ Name string }
		}
		if err := yaml.Unmarshal(doc, &meta); err != nil {
			t.Fatal(err)
		}
		var object any
		var pod *corev1.PodTemplateSpec
		switch meta.Kind {
		case "Deployment":
			o := new(appsv1.Deployment)
			object, pod = o, &o.Spec.Template
		case "StatefulSet":
			o := new(appsv1.StatefulSet)
			object, pod = o, &o.Spec.Template
		case "DaemonSet":
			o := new(appsv1.DaemonSet)
			object, pod = o, &o.Spec.Template
		case "Job":
			o := new(batchv1.Job)
			object, pod = o, &o.Spec.Template
		case "CronJob":
			o := new(batchv1.CronJob)
			object, pod = o, &o.Spec.JobTemplate.Spec.Template
		default:
			continue
		}
		if err := yaml.UnmarshalStrict(doc, object); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		if meta.Metadata.Name == "other" {
			meta.Kind = "other"
		}
		pods[meta.Kind] = pod
	}
	return pods
}

// buildAll returns the objects that Kustomize builds.
func buildAll(t *testing.T, component []byte) (docs [][]byte) {
	t.Helper()
	workloads, err := os.ReadFile("testdata/workloads.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "cosproxy"), 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{
		"cosproxy/kustomization.yaml": component,
		"workloads.yaml":              workloads,
		"kustomization.yaml":          []byte("resources: [workloads.yaml]\ncomponents: [cosproxy]\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	result, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, component)
	}
	for _, r := range result.Resources() {
		doc, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc)
	}
	return docs
}
