"""Programs beside the service: they make files of this project, or look after a deployed stack."""
