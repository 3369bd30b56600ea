# A game that binds its UDP port late: prints "bound", or exits with 98 if the port is taken.
use strict;
use warnings;
use Socket;

my ($delay) = @ARGV;
select(undef, undef, undef, $delay);
socket(my $game, PF_INET, SOCK_DGRAM, 0) or die;
bind($game, sockaddr_in($ENV{SERVER_PORT}, INADDR_ANY)) or exit 98;
syswrite(STDOUT, "bound\n");
sleep 1 while 1;
