package cosemu

import "time"

// WithClock returns o with now as the clock of the servers.
func (o Options) WithClock(now func() time.Time) Options {
	o.now = now
	return o
}

// WithAccount returns o with these long-lived credentials of the account.
func (o Options) WithAccount(secretID, secretKey string) Options {
	o.secretID, o.secretKey = secretID, secretKey
	return o
}

// WithSlow returns f as a fault that delays the XML of slow operations by d.
func (f COSFault) WithSlow(d time.Duration) COSFault {
	f.slow = d
	return f
}

// STSRequests returns the last calls at STS.
func (s *Server) STSRequests() []stsRequest { return s.stsRequests() }

// SetMetadataFault replaces the fault at the metadata service.
func (s *Server) SetMetadataFault(f SourceFault) { s.setMetadataFault(f) }

// SetCredentialsServerFault replaces the fault at the credentials server.
func (s *Server) SetCredentialsServerFault(f SourceFault) { s.setCredentialsServerFault(f) }

// MetadataCalls counts the requests at the metadata service.
func (s Stats) MetadataCalls() int { return s.metadataCalls }

// CredentialsServerCalls counts the requests at the credentials server.
func (s Stats) CredentialsServerCalls() int { return s.credentialsServerCalls }
