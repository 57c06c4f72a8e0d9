"""What several analyses share: jobs and their cache, donors, episodes, averages."""
