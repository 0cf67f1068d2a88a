/* The COMMAND that costs least. For tests/bench/run. */
int main(void)
{
	return 0;
}
