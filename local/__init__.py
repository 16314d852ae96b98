"""The functions of template.yaml on this machine, with a gateway and a Postgres."""
