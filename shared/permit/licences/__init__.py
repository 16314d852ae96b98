"""What a vendor sells and issues: products, policies, licences and their devices."""
