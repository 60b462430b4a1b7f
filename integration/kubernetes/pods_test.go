package kubernetes_test

import (
	"bytes"
	"fmt"
	"path"
	"strconv"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// documents are the objects of one file.
type documents struct {
	deployment *appsv1.Deployment
	account    *corev1.ServiceAccount
	policy     *networkingv1.NetworkPolicy
	monitor    *monitoring.PodMonitor
}

// decode decodes objects strictly: an unknown or repeated field is an error.
func decode(t *testing.T, text []byte) documents {
	t.Helper()
	var all documents
	for _, doc := range bytes.Split(text, []byte("\n---\n")) {
		var meta struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal(doc, &meta); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		var object any
		switch meta.APIVersion + " " + meta.Kind {
		case "apps/v1 Deployment":
			all.deployment = new(appsv1.Deployment)
			object = all.deployment
		case "v1 ServiceAccount":
			all.account = new(corev1.ServiceAccount)
			object = all.account
		case "networking.k8s.io/v1 NetworkPolicy":
			all.policy = new(networkingv1.NetworkPolicy)
			object = all.policy
		case "monitoring.coreos.com/v1 PodMonitor":
			all.monitor = new(monitoring.PodMonitor)
			object = all.monitor
		default:
			t.Fatalf("unknown object %v:\n%s", meta, doc)
		}
		if err := yaml.UnmarshalStrict(doc, object); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
	}
	return all
}

func TestKubernetes_Objects(t *testing.T) {
	for name, environ := range environments(t, "kubernetes") {
		t.Run(name, func(t *testing.T) {
			all := decode(t, manifest(t, environ, "kubernetes", "--name", "photos", "--network-policy"))
			if all.deployment == nil || all.account == nil || all.policy == nil {
				t.Fatal("an object is missing")
			}
			pod := all.deployment.Spec.Template
			if pod.Spec.ServiceAccountName != all.account.Name || *pod.Spec.AutomountServiceAccountToken {
				t.Error("the pod uses another account, or mounts its token")
			}
			labels := pod.Labels
			for what, selector := range map[string]map[string]string{
				"Deployment": all.deployment.Spec.Selector.MatchLabels, "NetworkPolicy": all.policy.Spec.PodSelector.MatchLabels,
			} {
				if !matches(selector, labels) {
					t.Errorf("%s does not select the pod", what)
				}
			}
			restricted(t, &pod)
			sidecar(t, &pod.Spec)
			listensForMetrics := strings.Contains(strings.Join(environ, "\n"), "COSPROXY_METRICS_LISTEN=:")
			if (all.monitor != nil) != listensForMetrics {
				t.Errorf("PodMonitor: %v", all.monitor)
			}
			if all.monitor != nil {
				monitored(t, all.monitor, &pod)
			}
		})
	}
}

// restricted checks a pod with the admission plugin of Kubernetes.
func restricted(t *testing.T, pod *corev1.PodTemplateSpec) {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
		if !result.Allowed {
			t.Errorf("not restricted: %s: %s", result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
}

// TestRestricted_Detects checks that restricted finds a violation.
func TestRestricted_Detects(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pod := decode(t, manifest(t, environments(t, "kubernetes")["cvm"], "kubernetes")).deployment.Spec.Template
	pod.Spec.InitContainers[0].SecurityContext.Capabilities = nil
	allowed := true
	for _, result := range evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec) {
		allowed = allowed && result.Allowed
	}
	if allowed {
		t.Error("a container with all capabilities is restricted")
	}
}

// sidecar checks the first init container.
func sidecar(t *testing.T, pod *corev1.PodSpec) {
	t.Helper()
	c := pod.InitContainers[0]
	if c.Name != "cosproxy" || c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
		t.Fatalf("the first init container is not a native sidecar: %+v", c)
	}
	sc := c.SecurityContext
	if !*sc.ReadOnlyRootFilesystem || *sc.RunAsUser != 65532 || !*sc.RunAsNonRoot || sc.Privileged != nil {
		t.Errorf("security context %+v", sc)
	}
	for what, probe := range map[string]*corev1.Probe{"startup": c.StartupProbe, "readiness": c.ReadinessProbe, "liveness": c.LivenessProbe} {
		reachable(t, what, probe, &c)
	}
	limit := c.Resources.Limits.Memory().Value()
	if request := c.Resources.Requests.Memory().Value(); request < 32<<20 || limit <= request || !c.Resources.Limits.Cpu().IsZero() {
		t.Errorf("resources %+v", c.Resources)
	}
	if soft, err := strconv.ParseInt(strings.TrimSuffix(variable(&c, "GOMEMLIMIT"), "MiB"), 10, 64); err != nil || soft<<20 >= limit || soft<<20 < limit*8/10 {
		t.Errorf("GOMEMLIMIT %d MiB for a limit of %d bytes", soft, limit)
	}
	mounts(t, &c, pod)
}

// reachable checks that kubelet can reach a probe.
func reachable(t *testing.T, what string, probe *corev1.Probe, c *corev1.Container) {
	t.Helper()
	switch {
	case probe == nil:
		t.Errorf("no %s probe", what)
	case probe.Exec != nil:
		if probe.Exec.Command[0] != "/cosproxy" || probe.Exec.Command[1] != "healthcheck" {
			t.Errorf("%s probe %v", what, probe.Exec.Command)
		}
	default:
		port := portNamed(c, probe.HTTPGet.Port.StrVal)
		if listen := variable(c, "COSPROXY_HEALTH_LISTEN"); port == 0 || !strings.HasSuffix(listen, fmt.Sprintf(":%d", port)) || strings.HasPrefix(listen, "127.") {
			t.Errorf("%s probe on port %d, but cosproxy listens on %s", what, port, listen)
		}
	}
}

// TestKubernetes_Token checks the token for source oidc: cosproxy alone mounts it, where
// TKE_WEB_IDENTITY_TOKEN_FILE expects it.
func TestKubernetes_Token(t *testing.T) {
	for _, name := range []string{"oidc", "oidc-provider", "oidc-chained"} {
		all := decode(t, manifest(t, environments(t, "kubernetes")[name], "kubernetes"))
		pod := all.deployment.Spec.Template.Spec
		c := &pod.InitContainers[0]
		source := pod.Volumes[0].Projected.Sources[0].ServiceAccountToken
		if source.Audience != "sts.cloud.tencent.com" || c.VolumeMounts[0].MountPath+"/"+source.Path != variable(c, "TKE_WEB_IDENTITY_TOKEN_FILE") ||
			variable(c, "TKE_ROLE_ARN") == "" || len(all.account.Annotations) > 0 {
			t.Errorf("%s: %+v, environment %v", name, source, c.Env)
		}
	}
}

// mounts checks that every mount has a volume and that every file of a setting is mounted.
func mounts(t *testing.T, c *corev1.Container, pod *corev1.PodSpec) {
	t.Helper()
	volumes := make(map[string]bool)
	for _, v := range pod.Volumes {
		volumes[v.Name] = true
		if v.Secret != nil && *v.Secret.DefaultMode != 0o444 {
			t.Errorf("mode %o", *v.Secret.DefaultMode)
		}
	}
	paths := make(map[string]bool)
	for _, m := range c.VolumeMounts {
		paths[m.MountPath] = true
		if !volumes[m.Name] {
			t.Errorf("no volume %s", m.Name)
		}
	}
	for _, other := range pod.Containers {
		for _, m := range other.VolumeMounts {
			if m.Name != "cosproxy-socket" {
				t.Errorf("the application mounts %s", m.Name)
			}
		}
	}
	for _, e := range c.Env {
		if strings.HasSuffix(e.Name, "_FILE") && !paths[path.Dir(e.Value)] {
			t.Errorf("%s=%s is not mounted", e.Name, e.Value)
		}
		if strings.HasSuffix(e.Name, "_KEY") || strings.HasSuffix(e.Name, "_TOKEN") || strings.Contains(e.Value, "NEVER-SHOWN") {
			t.Errorf("%s holds a secret", e.Name)
		}
	}
}

// monitored checks that a PodMonitor selects the pod and a port of it.
func monitored(t *testing.T, m *monitoring.PodMonitor, pod *corev1.PodTemplateSpec) {
	t.Helper()
	endpoint := m.Spec.PodMetricsEndpoints[0]
	c := pod.Spec.InitContainers[0]
	if port := portNamed(&c, *endpoint.Port); !matches(m.Spec.Selector.MatchLabels, pod.Labels) || !strings.HasSuffix(variable(&c, "COSPROXY_METRICS_LISTEN"), fmt.Sprintf(":%d", port)) {
		t.Errorf("PodMonitor %+v", m.Spec)
	}
}

func matches(selector, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return len(selector) > 0
}

func portNamed(c *corev1.Container, name string) int32 {
	for _, p := range c.Ports {
		if p.Name == name {
			return p.ContainerPort
		}
	}
	return 0
}

// variable returns the value of an environment variable as Kubernetes sets it.
func variable(c *corev1.Container, name string) string {
	for _, e := range c.Env {
		if e.Name == name {
			return expand(e.Value)
		}
	}
	return ""
}

// expand replaces $$ by $, as Kubernetes does (Define Environment Variables for a
// Container). It marks references to other variables.
func expand(value string) string {
	return strings.NewReplacer("$$", "$", "$(", "REFERENCE(").Replace(value)
}

func TestKubernetes_BreakingCharacters(t *testing.T) {
	accepted(t, "kubernetes", func(value, socket string, text []byte) {
		c := &decode(t, text).deployment.Spec.Template.Spec.InitContainers[0]
		if got := variable(c, "COSPROXY_ROLE_EXTERNAL_ID"); got != value {
			t.Errorf("%q becomes %q", value, got)
		}
		if got := variable(c, "COSPROXY_LISTEN"); got != "unix://"+socket {
			t.Errorf("%q becomes %q", socket, got)
		}
	})
}

// TestKubernetes_SocketFolder: the folder of the socket is mounted at its path, in which
// Kubernetes expands no $(NAME).
func TestKubernetes_SocketFolder(t *testing.T) {
	for _, value := range nasty {
		if strings.Contains(value, ":") {
			continue // Kubernetes accepts no such path
		}
		dir := "/run/" + value
		pod := decode(t, manifest(t, append(environments(t, "kubernetes")["cvm"], "COSPROXY_LISTEN=unix://"+dir+"/app.sock"), "kubernetes")).deployment.Spec.Template.Spec
		for _, c := range []corev1.Container{pod.InitContainers[0], pod.Containers[0]} {
			if got := c.VolumeMounts[0].MountPath; got != dir {
				t.Errorf("%s: %q becomes %q", c.Name, dir, got)
			}
		}
	}
}

func TestKubernetes_NastyValues(t *testing.T) {
	for _, value := range nasty {
		environ := with(t, "kubernetes", "COSPROXY_ROLE_EXTERNAL_ID="+value)
		pod := decode(t, manifest(t, environ, "kubernetes")).deployment.Spec.Template.Spec
		if got := variable(&pod.InitContainers[0], "COSPROXY_ROLE_EXTERNAL_ID"); got != value {
			t.Errorf("%q becomes %q", value, got)
		}
	}
}
