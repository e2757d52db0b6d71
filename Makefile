.PHONY: demo test check lock bench chaos setup

demo test check lock bench chaos setup:
	@python3 manage.py $@
