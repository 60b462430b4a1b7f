// Command bench compares a built cosproxy with its peers, side by side on one
// machine: nginx that signs in Lua, nginx that does not sign, and
// httputil.ReverseProxy with its defaults. It reports peers that are not installed
// and continues without them.
//
// An upstream responds like COS, over plain HTTP and TLS. It does not verify
// signatures, but rejects S3 requests that are not signed with the key of the peers, and
// uploads of a wrong length. Each peer runs in separate processes in front of it, to
// measure its CPU time and memory alone. Each round measures all peers, and every figure
// is the median over the rounds. A ratio is the median of the ratios within each round,
// since the speed of a machine drifts.
//
// The measurements, by their names for -only:
//
//   - small: 1 KiB GET and PUT in a closed loop of 1 to 256 connections: CPU
//     time of the peer per request, and requests per second.
//   - large: PUT and GET of large bodies, one and eight at once: bytes per
//     second, CPU time per GiB, and the peak resident memory with eight.
//   - s3: the GET of small in the form of an AWS SDK, in path style, and the PUT of
//     large in aws-chunked with a CRC-32, each next to the same request of COS to the
//     same peer. Only cosproxy and the baseline accept them.
//   - rss: only the peak resident memory of large.
//   - start: time from the start of the process to the first response, resident
//     memory when idle, size of the binary, and over TLS the share of
//     reconnections that resume a session.
//
// cosproxy runs with its checksums and guards on and logs from warnings up;
// nginx writes no access log either. The peers share the machine with the
// upstream and the load generator, so requests per second say little about a
// dedicated machine: compare CPU time. Do not compare figures of different runs.
//
// With -pgo the program does not compare: it loads a cosproxy that was built
// with the tag pgo and writes its CPU profile.
//
// It runs on Linux only, since it reads the CPU time of other processes.
package main
