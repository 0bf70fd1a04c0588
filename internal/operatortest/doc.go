// Package operatortest holds the tests of what it takes to add an operator: they
// add one that exists nowhere else and use it as a program does.
package operatortest
