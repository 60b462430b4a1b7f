package main

import (
	"fmt"
	"os/user"
	"strconv"
	"strings"
)

// owner is who a file is given to. The zero value gives it to nobody else.
type owner struct {
	given    bool
	uid, gid int // -1 leaves it as it is
}

// UnmarshalText reads user:group, user or :group.
func (o *owner) UnmarshalText(text []byte) error {
	name, group, _ := strings.Cut(string(text), ":")
	if name == "" && group == "" {
		return fmt.Errorf("%q names no user and no group", text)
	}
	uid, err := lookUp(name, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", fmt.Errorf("there is no user %q on this machine", name)
		}
		return u.Uid, nil
	})
	if err != nil {
		return err
	}
	gid, err := lookUp(group, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", fmt.Errorf("there is no group %q on this machine", name)
		}
		return g.Gid, nil
	})
	*o = owner{given: true, uid: uid, gid: gid}
	return err
}

// lookUp is the number of a user or group, which may be written as a number
// itself: a container has few names. It is -1 for "".
func lookUp(name string, id func(name string) (string, error)) (int, error) {
	if name == "" {
		return -1, nil
	}
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	number, err := id(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(number)
}
