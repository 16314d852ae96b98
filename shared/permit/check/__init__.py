"""The question "may this copy run here, now?": facts, verdict, seat, proof, usage."""
