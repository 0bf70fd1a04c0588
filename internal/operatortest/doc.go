// Package operatortest contains the tests of adding an operator: they add one
// that exists nowhere else and use it as a program does.
package operatortest
