// Command genie is the command line and the worker of the Genie SDK.
package main

func main() {}
