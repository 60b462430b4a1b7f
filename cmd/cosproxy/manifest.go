package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const manifestUsage = `cosproxy manifest prints files that run cosproxy with the settings of this environment.

Usage:
  cosproxy manifest kubernetes [--name NAME] [--image IMAGE] [--network-policy] [--output FOLDER]
  cosproxy manifest kustomize|compose|quadlet [--name NAME] [--image IMAGE] [--output FOLDER]
  cosproxy manifest systemd [--name NAME] [--output FOLDER]

  kubernetes  a Deployment with cosproxy as a native sidecar (Kubernetes 1.29 or later),
              and its ServiceAccount; a PodMonitor if COSPROXY_METRICS_LISTEN is set
  kustomize   a component that adds the sidecar to Deployments, StatefulSets, DaemonSets,
              Jobs and CronJobs
  systemd     a service and its socket
  compose     a Compose file with an application and its sidecar
  quadlet     a pod of Podman with an application and its sidecar

  --name NAME        name of the application (default app). The units for systemd are
                     NAME-cosproxy; without this flag they are cosproxy, and only they can
                     have this name.
  --image IMAGE      image of cosproxy (default ` + exampleImage + `)
  --network-policy   also print an example of a NetworkPolicy
  --output FOLDER    write the files to an existing folder, instead of printing them; files
                     of the same names are replaced

Problems of the settings are reported as at startup. Files that the settings name need
not exist on this machine, and are not read. Secrets are not printed: the files refer to
a Secret, credential or file, and their comments say how to create it.

Exit codes: 0 the files were printed, 1 they cannot be written, 2 invalid arguments or
settings.
`

// exampleImage must be replaced: there is no public image.
const exampleImage = "registry.example/cosproxy"

// manifestKind is one kind of files.
type manifestKind struct {
	// templates maps file names to templates; {name} is the name of cosproxy's objects
	// and {app} that of the application.
	templates [][2]string
	inPod     bool // Kubernetes runs it
	hasImage  bool
}

var manifestKinds = map[string]manifestKind{
	"kubernetes": {templates: [][2]string{{"{name}.yaml", "kubernetes.yaml"}}, inPod: true, hasImage: true},
	"kustomize":  {templates: [][2]string{{"kustomization.yaml", "kustomization.yaml"}}, inPod: true, hasImage: true},
	"systemd":    {templates: [][2]string{{"{name}.service", "systemd.service"}, {"{name}.socket", "systemd.socket"}}},
	"compose":    {templates: [][2]string{{"compose.yaml", "compose.yaml"}}, hasImage: true},
	"quadlet":    {templates: [][2]string{{"{app}.pod", "quadlet.pod"}, {"{name}.container", "quadlet.container"}, {"{app}.container", "quadlet-app.container"}}, hasImage: true},
}

// manifestFlags are the flags of the command.
type manifestFlags struct {
	name, image, output string
	networkPolicy       bool
}

var (
	// manifestName matches names that Kubernetes accepts for all objects and labels, and
	// that leave room for a suffix (RFC 1123, 2.1).
	manifestName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?$`)
	// manifestImage matches references of images, roughly; a digest is exact.
	manifestImage = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:/-]*(@sha256:[0-9a-f]{64})?$`)
)

// runManifest prints files that run cosproxy with the settings of environ.
func runManifest(_ context.Context, args, environ []string, std streams) int {
	kindName := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		kindName, args = args[0], args[1:]
	}
	var f manifestFlags
	flags := newFlags("manifest")
	f.add(flags)
	if code, ends := parseFlags(flags, args, manifestUsage, std); ends {
		return code
	}
	kind, known := manifestKinds[kindName]
	if err := f.check(kindName, known, kind); err != nil {
		fmt.Fprintf(std.err, "cosproxy manifest: %v\nRun cosproxy manifest --help for usage.\n", err)
		return exitUsage
	}
	m, p := newManifest(kindName, kind, f, environ)
	printer := resolved{warnings: p.warnings}
	if err := p.err(); err != nil {
		printer.printProblems(err, std.err)
		return exitUsage
	}
	printer.printWarnings(std.err)
	if err := m.write(kind, f.output, std.out); err != nil {
		fmt.Fprintln(std.err, "cosproxy manifest:", err)
		return exitFailure
	}
	return exitOK
}

func (f *manifestFlags) add(flags *flag.FlagSet) {
	flags.StringVar(&f.name, "name", "", "")
	flags.StringVar(&f.image, "image", "", "")
	flags.StringVar(&f.output, "output", "", "")
	flags.BoolVar(&f.networkPolicy, "network-policy", false, "")
}

func (f *manifestFlags) check(kindName string, known bool, kind manifestKind) error {
	switch {
	case !known:
		return errors.New("name one kind of files: kubernetes, kustomize, systemd, compose or quadlet")
	case f.name != "" && !manifestName.MatchString(f.name):
		return errors.New("--name is not a name of at most 50 lower-case letters, digits and hyphens, such as photo-app")
	case f.name == "cosproxy" && kind.hasImage:
		return errors.New("--name cosproxy is the name of the container of cosproxy; use the name of the application")
	case f.image != "" && !kind.hasImage:
		return errors.New("--image does not apply to systemd, which runs the installed program; omit it")
	case f.image != "" && !manifestImage.MatchString(f.image):
		return errors.New("--image is not the name of an image, such as " + exampleImage + ":1.0, with or without a digest (@sha256: and 64 hexadecimal digits)")
	case f.networkPolicy && kindName != "kubernetes":
		return errors.New("--network-policy applies to kubernetes only; omit it")
	}
	return nil
}

// write writes the files to a folder or, if it is empty, prints them to w.
func (m *manifest) write(kind manifestKind, folder string, w io.Writer) error {
	templates, err := parseManifestTemplates(manifestFiles)
	if err != nil {
		return err
	}
	for i, file := range kind.templates {
		name := strings.NewReplacer("{name}", m.Name, "{app}", m.App).Replace(file[0])
		text := templates.render(file[1], m)
		if folder != "" {
			if err := replaceFile(filepath.Join(folder, name), text); err != nil {
				return err
			}
			continue
		}
		if len(kind.templates) > 1 {
			text = "# " + name + "\n" + text
		}
		if i > 0 {
			text = "\n" + text
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return nil
}

// replaceFile writes a file, which is complete as soon as it has its name.
func replaceFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(0o644), f.Close()) // it has no secret
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
