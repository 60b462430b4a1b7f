package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// manifestListeners says how others reach the listeners.
type manifestListeners struct {
	URL       string // of the listener for applications; empty if it is a Unix socket
	Socket    string // path of the Unix socket for applications
	SocketDir string // folder of all Unix sockets
	Health    int    // port for probes from other machines; zero if there is none
	Metrics   int    // port for Prometheus on another machine; zero if there is none
	TLS       bool   // of all listeners but that for probes

	SocketMode string // octal

	// For the .socket unit of systemd.
	ListenStream, FDName, SocketUser, SocketGroup string
}

func (m *manifest) addListeners(kindName string, c *config, p *problems) {
	m.TLS = c.TLSCertFile != ""
	m.Health, m.Metrics = remotePort(c.HealthListen), remotePort(c.MetricsListen)
	m.setURL(c.Listen)
	m.SocketMode = fmt.Sprintf("%04o", c.SocketMode)
	if kindName == "systemd" {
		m.addSystemdSocket(c, p)
	} else if c.SocketOwner != (ownerName{}) {
		p.add(variable("SocketOwner"), "cannot be used in a container without capabilities; remove it, and set %s", variable("SocketMode"))
	}
	for _, l := range c.listenSettings() {
		if kindName == "systemd" && l.field == "Listen" {
			continue
		}
		switch l.network {
		case "systemd":
			p.add(variable(l.field), "is a socket from systemd, which this kind of files does not have; use host:port or unix:///path")
		case "unix":
			m.addSocketDir(kindName, l.field, path.Dir(l.at), p)
		}
	}
}

// addSocketDir checks that all Unix sockets are in the one folder that cosproxy can write
// to.
func (m *manifest) addSocketDir(kindName, field, dir string, p *problems) {
	switch {
	case kindName == "systemd" && dir != "/run/"+m.Name:
		p.add(variable(field), "is in %s, which the unit cannot write to; use unix:///run/%s/NAME", dir, m.Name)
	case kindName == "systemd" && m.Socket != "" && path.Dir(m.Socket) == dir:
		p.add(variable(field), "is in the folder of %s, which systemd empties when cosproxy stops; move one of them, for example to unix:///run/%s.sock", variable("Listen"), m.Name)
	case kindName == "quadlet":
		p.add(variable(field), "is a Unix socket, which this kind of files does not share; use host:port, since the containers of a pod share loopback")
	case dir == "/":
		p.add(variable(field), "is in the root folder, which cannot be shared; use for example unix:///run/cosproxy/app.sock")
	case strings.Contains(dir, ":"):
		p.add(variable(field), "is in %s, and the path of a mount cannot have a colon; use for example unix:///run/cosproxy/app.sock", quoted(dir))
	case m.SocketDir != "" && m.SocketDir != dir:
		p.add(variable(field), "is in %s, and another Unix socket in %s; use one folder for all", dir, m.SocketDir)
	}
	m.SocketDir = dir
}

// setURL describes a in the words of applications in the same pod or on the same host.
func (m *manifest) setURL(a address) {
	switch a.network {
	case "unix":
		m.Socket = a.at
	case "tcp":
		host, port, _ := net.SplitHostPort(a.at)
		if addr, err := netip.ParseAddr(host); host == "" || err == nil && addr.IsUnspecified() {
			host = "127.0.0.1"
		}
		scheme := "http"
		if m.TLS {
			scheme = "https"
		}
		m.URL = scheme + "://" + net.JoinHostPort(host, port)
	}
}

// remotePort returns the port of an address that other machines can reach.
func remotePort(a address) int {
	if a.local() {
		return 0
	}
	_, port, _ := net.SplitHostPort(a.at)
	n, _ := strconv.Atoi(port)
	return n
}

// addSystemdSocket fills the .socket unit with the address of Listen. If that is a socket
// from systemd already, its address is not known, and the default applies.
func (m *manifest) addSystemdSocket(c *config, p *problems) {
	m.FDName = "app"
	switch a := c.Listen; a.network {
	case "unix":
		m.ListenStream = a.at
		m.SocketUser, m.SocketGroup = c.SocketOwner.user, c.SocketOwner.group
	case "systemd":
		if a.at != "" {
			m.FDName = a.at
		}
		m.ListenStream = settingOf("Listen").fallback
		m.setURL(address{network: "tcp", at: m.ListenStream})
	case "tcp":
		host, port, _ := net.SplitHostPort(a.at)
		_, err := netip.ParseAddr(host)
		switch {
		case host == "localhost": // one socket, since cosproxy expects one for a name
			m.ListenStream = net.JoinHostPort("127.0.0.1", port)
		case host == "":
			m.ListenStream = port
		case err != nil:
			p.add(variable("Listen"), "has the host name %s, which a unit cannot listen on; use an IP address", quoted(host))
		default:
			m.ListenStream = a.at
		}
	}
}

// manifestResources are the requests and limits of memory, from BENCHMARKS.md and the
// limits of the settings.
type manifestResources struct {
	MemoryRequest, MemoryLimit, GoMemoryLimit int // MiB
}

const (
	memoryRequest = 32 // MiB; the peak of eight transfers of 1 GiB is 27 MiB
	// memoryBase is for the process, its pool of large buffers (16 MiB) and the garbage
	// before a collection, in MiB.
	memoryBase = 64
	// memoryPerRequest is for a connection and the 64 KiB that it may buffer: 2000
	// connections of misbehaving clients needed 150 MiB in all.
	memoryPerRequest = 96 << 10
)

func newManifestResources(c *config) manifestResources {
	requests := min(c.wantedConns(), 1<<20)
	limit := memoryBase + int(requests*memoryPerRequest>>20)
	limit = (limit + 31) / 32 * 32
	return manifestResources{MemoryRequest: memoryRequest, MemoryLimit: limit, GoMemoryLimit: limit * 9 / 10}
}

// manifestEgress says what cosproxy connects to, for the NetworkPolicy.
type manifestEgress struct {
	Ports    []int // of COS, STS and the credentials server
	Metadata bool  // the metadata service of CVM
}

func newManifestEgress(c *config) manifestEgress {
	var e manifestEgress
	for _, r := range c.routeConfigs {
		e.addURL(r.bucketURL(c.Endpoint))
		if c.Source.callsSTS(r.Source) {
			u, _ := url.Parse(c.Source.STSEndpoint)
			e.addURL(u)
		}
		if r.Source == "http" {
			u, _ := url.Parse(c.Source.CredentialsURL)
			e.addURL(u)
		}
		e.Metadata = e.Metadata || r.Source == "cvm"
	}
	if _, port, err := net.SplitHostPort(c.ConnectTo); err == nil {
		e.addPort(port)
	}
	slices.Sort(e.Ports)
	return e
}

func (e *manifestEgress) addURL(u *url.URL) {
	switch {
	case u == nil || isLocalHost(u.Hostname()):
	case u.Port() != "":
		e.addPort(u.Port())
	case u.Scheme == "http":
		e.addPort("80")
	default:
		e.addPort("443")
	}
}

func (e *manifestEgress) addPort(port string) {
	if n, err := strconv.Atoi(port); err == nil && !slices.Contains(e.Ports, n) {
		e.Ports = append(e.Ports, n)
	}
}

// manifestDerived follows from the other parts of a manifest.
type manifestDerived struct {
	GracePeriod int  // seconds: 30 for the application, as Kubernetes grants by default, and Drain
	StopTimeout int  // seconds after which cosproxy may be killed
	HasVolumes  bool // the container of cosproxy mounts a volume
	HasSecrets  bool // the platform must provide secrets
	ClientToken bool // applications must send the client token
	HostFolder  string
	Mount       string // mount point of HostFolder
	TokenFolder string // mount point of the token for oidc
}

func (m *manifest) derive() {
	m.manifestDerived = manifestDerived{
		GracePeriod: 30 + m.Drain,
		StopTimeout: m.Drain + 5,
		HasVolumes:  len(m.Files) > 0 || m.SocketDir != "" || m.TKEToken || m.HostFile != "",
		HasSecrets:  len(m.Files)+len(m.SecretEnv) > 0,
		ClientToken: slices.ContainsFunc(m.Files, func(f manifestFile) bool { return f.Variable == variable("ClientTokenFile") }),
		HostFolder:  path.Dir(m.HostFile),
		Mount:       hostFolder,
		TokenFolder: tkeTokenFolder,
	}
	for i, f := range m.Files {
		m.Files[i].Credential = "/etc/" + m.Name + "/" + f.Key
		if path.IsAbs(f.From) && !strings.Contains(f.From, `\`) {
			m.Files[i].Credential = path.Clean(f.From)
		}
	}
}
