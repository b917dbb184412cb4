"""What tests share: portals, the scripted model server, the page as a person sees it. It holds no tests."""
