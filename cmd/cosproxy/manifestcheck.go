package main

// validateOptions lets each source check its options, as at startup, but with a placeholder
// for the key pair, which may be in files that only exist elsewhere.
func (c *config) validateOptions(p *problems) {
	source := c.Source
	for _, field := range secretFields() {
		if source.isSet(field) {
			source.setValue(field, "placeholder")
			source.setValue(field+"File", "")
		}
	}
	for i := range c.routeConfigs {
		source.checkOptions(p, &c.routeConfigs[i])
	}
}

// validatePlatform checks the settings against how the platform runs cosproxy.
func (c *config) validatePlatform(kindName string, kind manifestKind, p *problems) {
	for _, l := range c.listenSettings() {
		if l.ephemeral() {
			p.add(variable(l.field), "has port 0, so no application or probe knows the port; set a port")
		}
	}
	if kind.hasImage && c.AdminListen == (address{}) && c.HealthListen == (address{}) {
		p.add(variable("HealthListen"), "and %s are both off, so no probe can succeed; remove one of them", variable("AdminListen"))
	}
	for _, r := range c.routeConfigs {
		switch {
		case r.Source == "oidc" && !kind.inPod:
			p.add(r.names["Source"], "selects oidc, which needs the service account of a pod; use the manifest for kubernetes or kustomize, or another source")
		case r.Source == "cvm" && kind.inPod:
			p.warn("%s=cvm: the application shares the network of the pod, so it can read the credentials of the instance itself; use oidc in pods", r.names["Source"])
		}
	}
	if c.QuitTokenFile != "" && (kind.inPod || kindName == "compose") {
		p.warn("%s: the platform restarts cosproxy after POST /quit; remove the setting, since the platform stops cosproxy after the application", variable("QuitTokenFile"))
	}
	if kindName == "systemd" && c.Listen.network != "unix" && c.ClientTokenFile == "" {
		p.warn("every local user can use the bucket; set %s=unix:///run/NAME.sock, %s=:GROUP and %s=0660, or %s",
			variable("Listen"), variable("SocketOwner"), variable("SocketMode"), variable("ClientTokenFile"))
	}
}

// omitIssuerSettings removes the settings that only cosproxy issuer uses, with a warning: the
// files run the sidecar. A list of callers remains, which the sidecar rejects.
func omitIssuerSettings(vars map[string]string, p *problems) {
	for _, s := range issuerSettings() {
		if vars[s.variable] != "" && s.field != callersField {
			delete(vars, s.variable)
			p.warn("%s is not copied: it is a setting of cosproxy issuer, and these files run the sidecar; remove it", s.variable)
		}
	}
}

// warnProxies warns about proxies, which are not copied: they concern this machine, and
// their URLs often contain a password.
func warnProxies(vars map[string]string, p *problems) {
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		if vars[name] != "" {
			p.warn("%s is not copied; if cosproxy needs a proxy there, add the variable to the files", name)
		}
	}
}
