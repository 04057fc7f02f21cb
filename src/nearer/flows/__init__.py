"""What Nearer does, one file a verb: each flow joins the layers below and is a plain function."""
