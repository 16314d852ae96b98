"""First on a function's path where AWS's runtime client has no native half."""
