package sdk

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"syscall"
)

// problemOf turns any error into a Problem. What is no Problem becomes one by what the standard library tells of
// network faults, else a bug; its own text is never passed on, as it may hold addresses with keys and values of
// records (R12).
func problemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if errors.Is(err, context.Canceled) {
		return Upstream("the call was cancelled")
	}
	host := ""
	if u, ok := errors.AsType[*url.Error](err); ok {
		if parsed, parseErr := url.Parse(u.URL); parseErr == nil {
			host = " by " + parsed.Host
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Upstream("no answer%s in the time the hub allows", host)
	}
	if d, ok := errors.AsType[*net.DNSError](err); ok {
		return Upstream("the name %s cannot be resolved", d.Name)
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok && isNetwork(err) {
		return Upstream("the connection failed%s: %s", host, errno.Error())
	}
	if isCertificate(err) {
		return Upstream("the TLS certificate shown%s is not trusted", host)
	}
	if isNetwork(err) {
		return Upstream("the connection failed%s", host)
	}
	return Bug("the connector returned an error that is no Problem (%T); its log says more", root(err))
}

// problemsOf returns the Problems of an error, of several when it was made by errors.Join.
func problemsOf(err error) []*Problem {
	var problems []*Problem
	for _, one := range flatten(err) {
		problems = append(problems, problemOf(one))
	}
	return problems
}

// flatten takes the errors of errors.Join apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, flatten(one)...)
	}
	return all
}

// isNetwork goes by types, as errors of files also have the methods of net.Error.
func isNetwork(err error) bool {
	if _, ok := errors.AsType[*url.Error](err); ok {
		return true
	}
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}

func isCertificate(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.UnknownAuthorityError](err)
	return ok
}

// root returns the innermost error, whose type says most.
func root(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
